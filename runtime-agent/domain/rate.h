#ifndef RUNTIME_AGENT_DOMAIN_RATE_H_
#define RUNTIME_AGENT_DOMAIN_RATE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::agent {

// "10mbit", "1.5gbit", "500kbit", "8000bit" (also without "bit"), or bytes: "2mbps", as tc(8) has
// them. Bytes per second, at least 1000. InvalidArgument for anything else.
absl::StatusOr<uint64_t> ParseRate(absl::string_view text);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_RATE_H_
