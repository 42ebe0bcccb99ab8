#ifndef IMAGE_SERVICE_PORTS_REGISTRY_H_
#define IMAGE_SERVICE_PORTS_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

// What a caller will do with a repository; tokens are asked for accordingly.
enum class RegistryAccess { kPull, kPush };

// Fills `data` with the bytes of a blob from `offset` on; how many, at least one.
using BlobSource = std::function<absl::StatusOr<size_t>(int64_t offset, char* data, size_t size)>;

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

  // All tags, in the registry's order.
  virtual absl::StatusOr<std::vector<std::string>> ListTags(const Cancellation& cancel) = 0;

  virtual absl::StatusOr<bool> HasBlob(const Digest& digest, const Cancellation& cancel) = 0;
  // Takes the blob over from another repository of the registry. False when the registry does not
  // do so; what it began instead is given up.
  virtual absl::StatusOr<bool> MountBlob(const Digest& digest, const std::string& from_path,
                                         const Cancellation& cancel) = 0;
  // Sends a blob of `size_bytes`; a broken connection is taken up where the registry says that it
  // got to. DataLoss when the registry computes another digest.
  virtual absl::Status UploadBlob(const Digest& digest, int64_t size_bytes,
                                  const BlobSource& source, const std::function<void()>& on_retry,
                                  const Cancellation& cancel) = 0;
  // Stores a manifest under the reference's tag. InvalidArgument when the registry does not take
  // this kind.
  virtual absl::Status PutManifest(const ImageReference& reference, const std::string& media_type,
                                   const std::string& body, const Cancellation& cancel) = 0;
};

struct FoundRepository {
  std::string name;
  std::string description;
  int64_t star_count = 0;
  bool is_official = false;
  bool is_automated = false;
};

class Registry {
 public:
  virtual ~Registry() = default;
  // Whether the registry at `domain` ("docker.io", "host:port") takes the credentials:
  // Unauthenticated in its words when not. An identity token where it gave one instead of the
  // password.
  virtual absl::StatusOr<std::string> Login(const std::string& domain,
                                            const RegistryCredentials& credentials,
                                            const Cancellation& cancel) = 0;
  // Repositories with `term` in their name: by Docker Hub's search, or in a registry's catalog.
  virtual absl::StatusOr<std::vector<FoundRepository>> Search(
      const std::string& domain, const std::string& term, size_t limit,
      const RegistryCredentials& credentials, const Cancellation& cancel) = 0;
  // Does not talk to the registry yet.
  virtual std::shared_ptr<RegistryRepository> Open(const ImageReference& reference,
                                                   const RegistryCredentials& credentials,
                                                   RegistryAccess access) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_REGISTRY_H_
