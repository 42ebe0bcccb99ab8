#ifndef GATEWAY_DOCKER_IMAGE_REFERENCE_H_
#define GATEWAY_DOCKER_IMAGE_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "slipway/common/v1/common.pb.h"

// How the Engine API names images and platforms in queries. Pure.
namespace slipway::gateway {

// Whether the last part of a reference says more than a name.
bool HasTagOrDigest(absl::string_view reference);

// ImageCreate's `fromImage` and `tag` as one reference: a tag that is a digest is joined by "@".
// InvalidArgument for no image. No tag gives the name alone, by which Docker means every tag.
absl::StatusOr<std::string> JoinReference(absl::string_view from_image, absl::string_view tag);

// "linux/amd64", "linux/arm/v7", "arm64", "linux", or the same as JSON.
absl::StatusOr<slipway::common::v1::Platform> ParsePlatform(absl::string_view text);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_IMAGE_REFERENCE_H_
