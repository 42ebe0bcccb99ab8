#ifndef SERVICES_BUILD_DOCKERFILE_SUGGESTION_H_
#define SERVICES_BUILD_DOCKERFILE_SUGGESTION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace slipway::build {

// " (did you mean <nearest>?)" where one of `known` is two changes away at most, otherwise "".
// Letters count alike in either case. Pure.
std::string Suggestion(absl::string_view given, const std::vector<std::string>& known);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOCKERFILE_SUGGESTION_H_
