#ifndef SERVICES_BUILD_CLIENTS_CONFIG_CONVERSION_H_
#define SERVICES_BUILD_CLIENTS_CONFIG_CONVERSION_H_

#include "services/build/ports/image_config.h"
#include "slipway/image/v1/image.pb.h"

namespace slipway::build {

// Pure.
ImageConfig ConfigFromMessage(const image::v1::ImageConfig& message);
void ConfigToMessage(const ImageConfig& config, image::v1::ImageConfig& message);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_CONFIG_CONVERSION_H_
