#include "image-service/clients/registry_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/clients/mirrored_repository.h"
#include "image-service/clients/registry_repository.h"

namespace slipway::image {
namespace {

constexpr absl::Duration kRememberScheme = absl::Minutes(5);
constexpr size_t kMaxKnown = 1024;

}  // namespace

std::shared_ptr<RegistryRepository> RegistryClient::Open(const ImageReference& reference,
                                                         const RegistryCredentials& credentials,
                                                         RegistryAccess access) {
  auto origin = std::make_shared<HttpRegistryRepository>(*this, reference, credentials, access);
  const auto mirrors = options_.mirrors.find(reference.domain());
  if (access != RegistryAccess::kPull || mirrors == options_.mirrors.end()) return origin;
  std::vector<std::shared_ptr<RegistryRepository>> places;
  for (const std::string& mirror : mirrors->second) {
    const auto base = Url::Parse(mirror);
    if (!base.ok()) continue;  // checked at start
    // Credentials are for the registry, not for who mirrors it.
    places.push_back(std::make_shared<HttpRegistryRepository>(
        *this, reference, RegistryCredentials(), access, *base));
  }
  places.push_back(std::move(origin));
  return std::make_shared<MirroredRepository>(std::move(places));
}

absl::StatusOr<Url> RegistryClient::BaseUrl(const std::string& domain, const Cancellation& cancel) {
  const std::string host = domain == "docker.io" ? "registry-1.docker.io" : domain;
  const std::string secure = absl::StrCat("https://", host);
  if (!IsLoopback(host) && !options_.insecure_registries.contains(host)) return Url::Parse(secure);
  const std::string plain = absl::StrCat("http://", host);
  if (!http_.HasCertificate(host)) return Url::Parse(plain);
  {
    absl::MutexLock lock(&mu_);
    const auto found = known_.find(host);
    if (found != known_.end() && absl::Now() < found->second.until) return found->second.url;
  }
  // A wrong certificate is no reason to try without one: only a registry that does not speak TLS
  // is.
  HttpRequest ping;
  ASSIGN_OR_RETURN(ping.url, Url::Parse(absl::StrCat(secure, "/v2/")));
  ping.body_limit_bytes = 64 << 10;
  const auto response = http_.Send(ping, cancel);
  if (!response.ok() && (!absl::IsUnavailable(response.status()) || SpokeTls(response.status()))) {
    return response.status();
  }
  ASSIGN_OR_RETURN(const Url url, Url::Parse(response.ok() ? secure : plain));
  absl::MutexLock lock(&mu_);
  if (known_.size() >= kMaxKnown) known_.clear();
  known_[host] = {url, absl::Now() + kRememberScheme};
  return url;
}

}  // namespace slipway::image
