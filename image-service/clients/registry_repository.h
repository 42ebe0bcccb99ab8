#ifndef IMAGE_SERVICE_CLIENTS_REGISTRY_REPOSITORY_H_
#define IMAGE_SERVICE_CLIENTS_REGISTRY_REPOSITORY_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "image-service/clients/auth_challenge.h"
#include "image-service/clients/http_client.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

class RegistryClient;

// RegistryRepository over HTTP; made by RegistryClient::Open. Thread-safe.
class HttpRegistryRepository : public RegistryRepository {
 public:
  // `client` outlives the repository. `base`: of a mirror instead of the registry.
  HttpRegistryRepository(RegistryClient& client, ImageReference reference,
                         RegistryCredentials credentials, RegistryAccess access,
                         std::optional<Url> base = std::nullopt);

  absl::StatusOr<FetchedManifest> FetchManifest(const ImageReference& reference,
                                                const Cancellation& cancel) override;
  absl::StatusOr<std::string> FetchBlob(const Digest& digest, int64_t limit_bytes,
                                        const Cancellation& cancel) override;
  absl::Status DownloadBlob(const Digest& digest, int64_t offset, int64_t size_bytes,
                            const std::function<absl::Status(absl::string_view)>& sink,
                            const std::function<void()>& on_retry,
                            const Cancellation& cancel) override;

  absl::StatusOr<std::vector<std::string>> ListTags(const Cancellation& cancel) override;
  absl::StatusOr<bool> HasBlob(const Digest& digest, const Cancellation& cancel) override;
  absl::StatusOr<bool> MountBlob(const Digest& digest, const std::string& from_path,
                                 const Cancellation& cancel) override;
  absl::Status UploadBlob(const Digest& digest, int64_t size_bytes, const BlobSource& source,
                          const std::function<void()>& on_retry,
                          const Cancellation& cancel) override;
  absl::Status PutManifest(const ImageReference& reference, const std::string& media_type,
                           const std::string& body, const Cancellation& cancel) override;

 private:
  struct BlobPosition;
  struct Upload;

  // Sends a request for `path` below /v2/<name>/, answering one challenge on the way.
  absl::StatusOr<HttpResponse> Send(const std::string& path, HttpRequest request,
                                    const Cancellation& cancel);
  absl::StatusOr<Url> BaseUrl(const Cancellation& cancel);
  // The same for a whole URL, which gets credentials only where it is the registry's.
  absl::StatusOr<HttpResponse> SendTo(Url url, HttpRequest request, const Cancellation& cancel);
  // Send, again after transport failures, 429 and 5xx.
  absl::StatusOr<HttpResponse> SendWithRetries(const std::string& path, const HttpRequest& request,
                                               const Cancellation& cancel);
  absl::Status DownloadOnce(const std::string& path, BlobPosition& position,
                            const std::function<absl::Status(absl::string_view)>& sink,
                            const Cancellation& cancel);
  absl::Status BeginUpload(Upload& upload, const Cancellation& cancel);
  // Asks how far the upload got.
  absl::Status ResumeUpload(Upload& upload, const Cancellation& cancel);
  absl::Status SendChunk(Upload& upload, const BlobSource& source, const Cancellation& cancel);
  absl::Status CompleteUpload(Upload& upload, const Digest& digest, const Cancellation& cancel);
  absl::Status UploadOnce(Upload& upload, const Digest& digest, const BlobSource& source,
                          const Cancellation& cancel);
  absl::Status Authorize(const HttpResponse& response, bool fresh, const Cancellation& cancel);
  std::string Scope();
  // How a message begins that says that access was denied.
  std::string Denied() const;
  std::string authorization();
  // A status for an answer that is none of what was hoped for, in Docker's words.
  absl::Status ErrorOf(const HttpResponse& response, const ImageReference& reference) const;

  RegistryClient& client_;
  const ImageReference reference_;
  const RegistryCredentials credentials_;
  const RegistryAccess access_;
  const std::optional<Url> base_;
  absl::Mutex mu_;
  std::vector<std::string> mounted_from_ ABSL_GUARDED_BY(mu_);  // repositories to be read too
  std::string authorization_ ABSL_GUARDED_BY(mu_);
};

// How long a Retry-After header asks to wait (RFC 9110, 10.2.3: seconds or a date), at most
// `limit`; `fallback` without one.
absl::Duration RetryAfter(const std::string& header, absl::Duration fallback, absl::Duration limit);

// "code: message" of the first error of a registry's error document, in Docker's form ("manifest
// unknown: manifest unknown"); empty when there is none. `code` gets the code as it came.
std::string RegistryErrorText(const std::string& body, std::string* code);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_REGISTRY_REPOSITORY_H_
