#ifndef SERVICES_BUILD_DOMAIN_GIT_URL_H_
#define SERVICES_BUILD_DOMAIN_GIT_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/ports/git.h"

// Which addresses are git repositories, as dockerd tells them. Pure.
namespace slipway::build {

// "git://…", "git@host:…", "ssh://…", "github.com/…", or an HTTP address whose path ends with
// ".git".
bool IsGitUrl(absl::string_view text);

// InvalidArgument for a reference or a directory that cannot be; Unimplemented for what goes over
// SSH.
absl::StatusOr<GitReference> ParseGitUrl(absl::string_view text);

// Without name and password, for people's eyes.
std::string WithoutCredentials(absl::string_view url);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_GIT_URL_H_
