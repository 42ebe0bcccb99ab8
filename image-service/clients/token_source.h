#ifndef IMAGE_SERVICE_CLIENTS_TOKEN_SOURCE_H_
#define IMAGE_SERVICE_CLIENTS_TOKEN_SOURCE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "image-service/clients/auth_challenge.h"
#include "image-service/clients/http_client.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

// Gets bearer tokens from authorization services and remembers them while they are valid (Docker
// registry "token authentication" and "OAuth 2" specifications). Thread-safe.
class TokenSource {
 public:
  explicit TokenSource(HttpClient& http) : http_(http) {}

  // The value of the Authorization header that answers `challenge`. `registry` is who sent it:
  // credentials go over plain HTTP only to a realm of that very origin. Unauthenticated when the
  // credentials are refused or none are there and the challenge is basic.
  absl::StatusOr<std::string> Answer(const AuthChallenge& challenge, const Url& registry,
                                     const std::string& default_scope,
                                     const RegistryCredentials& credentials, bool fresh,
                                     const Cancellation& cancel);

 private:
  struct Token {
    std::string value;
    absl::Time until;
  };
  absl::StatusOr<std::string> Fetch(const AuthChallenge& challenge, const Url& registry,
                                    const std::string& scope,
                                    const RegistryCredentials& credentials, const std::string& key,
                                    const Cancellation& cancel);

  HttpClient& http_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Token> tokens_ ABSL_GUARDED_BY(mu_);
};

// "Basic …" of a user name and a password.
std::string BasicAuthorization(const RegistryCredentials& credentials);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_TOKEN_SOURCE_H_
