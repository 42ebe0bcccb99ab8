#ifndef SERVICES_BUILD_DOMAIN_REGISTRY_OF_H_
#define SERVICES_BUILD_DOMAIN_REGISTRY_OF_H_

#include <string>

namespace slipway::build {

// The registry of an image's reference, by the name that credentials have: "host[:port]", or
// Docker's own "https://index.docker.io/v1/".
std::string RegistryOf(const std::string& reference);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_REGISTRY_OF_H_
