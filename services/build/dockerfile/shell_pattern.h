#ifndef SERVICES_BUILD_DOCKERFILE_SHELL_PATTERN_H_
#define SERVICES_BUILD_DOCKERFILE_SHELL_PATTERN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Patterns of variable substitutions: * and ?, a backslash before what is meant literally. Each
// takes time of text times pattern at most; InvalidArgument where that is too much. Pure.
namespace slipway::build {

// ${value#pattern}, ${value##pattern}
absl::StatusOr<std::string> WithoutPrefix(absl::string_view value, absl::string_view pattern,
                                          bool longest);
// ${value%pattern}, ${value%%pattern}
absl::StatusOr<std::string> WithoutSuffix(absl::string_view value, absl::string_view pattern,
                                          bool longest);
// ${value/pattern/replacement}, ${value//pattern/replacement}; the longest match each time.
absl::StatusOr<std::string> Replace(absl::string_view value, absl::string_view pattern,
                                    absl::string_view replacement, bool all);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOCKERFILE_SHELL_PATTERN_H_
