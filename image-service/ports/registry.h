#ifndef IMAGE_SERVICE_PORTS_REGISTRY_H_
#define IMAGE_SERVICE_PORTS_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/digest.h"
#include "image-service/domain/image_reference.h"

namespace slipway::image {

// All empty: anonymous.
struct RegistryCredentials {
  std::string username;
  std::string password;
  std::string identity_token;
  std::string registry_token;
};

struct FetchedManifest {
  std::string body;
  std::string media_type;
  Digest digest;  // of the body; equal to what was asked for, where that was a digest
};

// One repository of one registry with one caller's credentials (OCI distribution-spec 1.0). Every
// body is bounded. Errors are in Docker's words and name the reference. Thread-safe.
class RegistryRepository {
 public:
  virtual ~RegistryRepository() = default;
  virtual absl::StatusOr<FetchedManifest> FetchManifest(const ImageReference& reference,
                                                        const Cancellation& cancel) = 0;
  // A small blob, verified.
  virtual absl::StatusOr<std::string> FetchBlob(const Digest& digest, int64_t limit_bytes,
                                                const Cancellation& cancel) = 0;
  // The bytes of a blob from `offset` to its end, given to `sink` in order, with retries that
  // continue where the connection broke. `on_retry` hears of each one. Does not verify.
  virtual absl::Status DownloadBlob(const Digest& digest, int64_t offset, int64_t size_bytes,
                                    const std::function<absl::Status(absl::string_view)>& sink,
                                    const std::function<void()>& on_retry,
                                    const Cancellation& cancel) = 0;
};

class Registry {
 public:
  virtual ~Registry() = default;
  // Does not talk to the registry yet.
  virtual std::shared_ptr<RegistryRepository> Open(const ImageReference& reference,
                                                   const RegistryCredentials& credentials) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_REGISTRY_H_
