#ifndef IMAGE_SERVICE_DOMAIN_DISTRIBUTION_H_
#define IMAGE_SERVICE_DOMAIN_DISTRIBUTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/image.h"
#include "image-service/domain/image_reference.h"
#include "image-service/ports/image_format.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

// What a registry has under a name.
struct Distribution {
  Descriptor descriptor;
  std::vector<Platform> platforms;
};

// Looks without fetching layers. Blocks. Errors are those of a pull.
absl::StatusOr<Distribution> InspectDistribution(Registry& registry, ImageFormat& format,
                                                 const ImageReference& reference,
                                                 const RegistryCredentials& credentials,
                                                 const Cancellation& cancel);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_DISTRIBUTION_H_
