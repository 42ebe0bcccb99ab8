#include "services/build/domain/registry_of.h"

#include "absl/strings/match.h"

namespace slipway::build {

std::string RegistryOf(const std::string& reference) {
  const std::string first = reference.substr(0, reference.find('/'));
  const bool is_host =
      first != reference &&
      (absl::StrContains(first, '.') || absl::StrContains(first, ':') || first == "localhost");
  return is_host ? first : "https://index.docker.io/v1/";
}

}  // namespace slipway::build
