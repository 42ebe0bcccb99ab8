#ifndef IMAGE_SERVICE_CLIENTS_REGISTRY_CLIENT_H_
#define IMAGE_SERVICE_CLIENTS_REGISTRY_CLIENT_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "image-service/clients/http_client.h"
#include "image-service/clients/token_source.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

struct RegistryOptions {
  // host[:port] of registries that are spoken to without TLS, besides those on loopback.
  std::set<std::string> insecure_registries;
  // Where pulls from a registry are tried first, in order: its name ("docker.io") to base URLs.
  std::map<std::string, std::vector<std::string>> mirrors;
  int max_attempts = 5;
  absl::Duration first_backoff = absl::Milliseconds(250);
  absl::Duration max_backoff = absl::Seconds(10);
  // Bytes of a blob in one request; a registry behind a proxy may take only so many.
  int64_t upload_chunk_bytes = INT64_MAX;
};

// Registries over HTTP (OCI distribution-spec 1.0, Docker Registry HTTP API V2). Loopback
// registries are spoken to in plain HTTP unless a certificate authority is configured and they
// speak TLS; all others only by HTTPS. Thread-safe.
class RegistryClient : public Registry {
 public:
  // `http` outlives the client.
  RegistryClient(HttpClient& http, RegistryOptions options)
      : http_(http), options_(std::move(options)), tokens_(http) {}

  std::shared_ptr<RegistryRepository> Open(const ImageReference& reference,
                                           const RegistryCredentials& credentials,
                                           RegistryAccess access) override;

  absl::StatusOr<std::string> Login(const std::string& domain,
                                    const RegistryCredentials& credentials,
                                    const Cancellation& cancel) override;
  absl::StatusOr<std::vector<FoundRepository>> Search(const std::string& domain,
                                                      const std::string& term, size_t limit,
                                                      const RegistryCredentials& credentials,
                                                      const Cancellation& cancel) override;

  // "https://registry-1.docker.io" for docker.io; found out once per registry.
  absl::StatusOr<Url> BaseUrl(const std::string& domain, const Cancellation& cancel);

  HttpClient& http() { return http_; }
  TokenSource& tokens() { return tokens_; }
  const RegistryOptions& options() const { return options_; }

 private:
  // GET of a URL of the registry, answering one challenge on the way; `service` is for messages.
  absl::StatusOr<HttpResponse> GetWithLogin(const Url& url, const RegistryCredentials& credentials,
                                            int64_t body_limit_bytes, const std::string& scope,
                                            const Cancellation& cancel);

  struct Known {
    Url url;
    absl::Time until;
  };
  HttpClient& http_;
  const RegistryOptions options_;
  TokenSource tokens_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Known> known_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_REGISTRY_CLIENT_H_
