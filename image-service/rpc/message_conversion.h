#ifndef IMAGE_SERVICE_RPC_MESSAGE_CONVERSION_H_
#define IMAGE_SERVICE_RPC_MESSAGE_CONVERSION_H_

#include <optional>

#include "image-service/domain/catalog.h"
#include "image-service/domain/image.h"
#include "image-service/domain/progress.h"
#include "image-service/ports/registry.h"
#include "slipway/image/v1/image.pb.h"

// Between wire messages and the domain's values. Pure functions.
namespace slipway::image {

v1::Image ToMessage(const ImageView& view);
// What a list has of an image.
v1::Image ToSummary(const ImageView& view);
v1::PullLayerProgress ToMessage(const LayerProgress& progress);
slipway::common::v1::Event ToMessage(const ImageEvent& event);

ImageConfig FromMessage(const v1::ImageConfig& message);
RegistryCredentials FromMessage(const v1::RegistryAuth& message);
PruneFilter FromMessage(const v1::PruneImagesRequest& message);
ListFilter FromMessage(const v1::ListImagesRequest& message);
// None when nothing is set.
std::optional<Platform> FromMessage(const slipway::common::v1::Platform& message);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_MESSAGE_CONVERSION_H_
