#ifndef SERVICES_BUILD_CLIENTS_GIT_MODULES_H_
#define SERVICES_BUILD_CLIENTS_GIT_MODULES_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::build {

// The URLs of a .gitmodules file (gitmodules(5)) by the paths that they belong to. What is neither
// is passed over; nothing is included from elsewhere. Pure.
std::map<std::string, std::string> ParseGitModules(absl::string_view text);

// "../other.git" as seen from the repository at `base`. InvalidArgument for what is neither http,
// https nor git then. Pure.
absl::StatusOr<std::string> ResolveModuleUrl(absl::string_view base, absl::string_view url);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_GIT_MODULES_H_
