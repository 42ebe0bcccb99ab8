#ifndef SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_
#define SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/container/model/spec.h"

// Images, as the domain needs them (slipway.image.v1.ImageService). Calls block, bounded by the
// implementation's deadline, and may be repeated. Implementations are thread-safe.
namespace slipway::container {

struct Image {
  std::string id;
  ImageConfig config;
  std::vector<std::string> layer_diff_ids;  // bottom first
  Platform platform;
};

class ImagePort {
 public:
  virtual ~ImagePort() = default;
  // NOT_FOUND names the reference. The image stays until Release(owner).
  virtual absl::StatusOr<Image> Acquire(const std::string& reference, const std::string& owner) = 0;
  virtual absl::Status Release(const std::string& owner) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListOwners() = 0;
  // Bytes of the files in its layers.
  virtual absl::StatusOr<int64_t> SizeOf(const std::string& image_id) = 0;
  // The id behind a name or id prefix.
  virtual absl::StatusOr<std::string> Resolve(const std::string& reference) = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_
