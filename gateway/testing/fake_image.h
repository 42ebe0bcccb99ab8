#ifndef GATEWAY_TESTING_FAKE_IMAGE_H_
#define GATEWAY_TESTING_FAKE_IMAGE_H_

#include <string>

#include "slipway/image/v1/image.pb.h"

namespace slipway::gateway {

inline constexpr char kFakeDigest[] =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";

// An image of one layer, called `name`.
slipway::image::v1::Image MakeFakeImage(const std::string& name);

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_FAKE_IMAGE_H_
