#ifndef SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_
#define SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/container/model/spec.h"
#include "services/container/ports/tar_sink.h"

// Images, as the domain needs them (slipway.image.v1.ImageService). Calls block, bounded by the
// implementation's deadline, and may be repeated. Implementations are thread-safe.
namespace slipway::container {

struct Image {
  std::string id;
  ImageConfig config;
  std::vector<std::string> layer_diff_ids;  // bottom first
  Platform platform;
};

// An image to be made of a parent and one more layer.
struct NewImage {
  std::string parent;
  std::string reference;  // empty: untagged
  ImageConfig config;
  std::string author;
  std::string message;
  std::string created_by;
  std::string container_id;
  int64_t created_unix_ns = 0;      // 0: now
  int64_t latest_mtime_unix_s = 0;  // later times of files become this one; 0: they stay
};

class ImagePort {
 public:
  virtual ~ImagePort() = default;
  // NOT_FOUND names the reference. The image stays until Release(owner).
  virtual absl::StatusOr<Image> Acquire(const std::string& reference, const std::string& owner) = 0;
  // Begins to. What is returned is to be called once, and waits for the answer.
  virtual std::function<absl::StatusOr<Image>()> BeginAcquire(const std::string& reference,
                                                              const std::string& owner) = 0;
  virtual absl::Status Release(const std::string& owner) = 0;
  // Begins to. What is returned is to be called once, and waits for the end.
  virtual std::function<absl::Status()> BeginRelease(const std::string& owner) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListOwners() = 0;
  // Bytes of the files in its layers.
  virtual absl::StatusOr<int64_t> SizeOf(const std::string& image_id) = 0;
  // The id behind a name or id prefix.
  virtual absl::StatusOr<std::string> Resolve(const std::string& reference) = 0;
  // The new image's id. `produce` writes its layer; when it fails there is no image, and its error
  // is returned. May take as long as the layer is large.
  virtual absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_IMAGE_PORT_H_
