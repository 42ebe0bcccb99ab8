#ifndef GATEWAY_DOCKER_QUERY_ESCAPE_H_
#define GATEWAY_DOCKER_QUERY_ESCAPE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace slipway::gateway {

// As Go's url.QueryEscape.
std::string QueryEscape(absl::string_view text);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_QUERY_ESCAPE_H_
