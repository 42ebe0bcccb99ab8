#ifndef SERVICES_BUILD_DOMAIN_GO_FORMAT_H_
#define SERVICES_BUILD_DOMAIN_GO_FORMAT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/build/ports/image_config.h"

// Values as Go's fmt writes them, because dockerd's history does. Pure.
namespace slipway::build {

// %q: "a\tb"
std::string GoQuote(absl::string_view text);
// %q of a list: ["a" "b"]
std::string GoQuote(const std::vector<std::string>& list);
// %q of a *HealthConfig: &{["CMD" "x"] "30s" "0s" "0s" '\x03'}
std::string GoQuote(const Healthcheck& check);
// %v of a list: [a b]
std::string GoList(const std::vector<std::string>& list);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_GO_FORMAT_H_
