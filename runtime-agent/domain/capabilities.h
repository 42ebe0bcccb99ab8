#ifndef RUNTIME_AGENT_DOMAIN_CAPABILITIES_H_
#define RUNTIME_AGENT_DOMAIN_CAPABILITIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Capability sets as bit masks: bit n is capability n (capabilities(7)). Thread-safe.
namespace slipway::agent {

// Docker's fourteen.
uint64_t DefaultCapabilities();

// What this process may give away: its own permitted set, cut by its bounding set.
absl::StatusOr<uint64_t> OwnCapabilities();

struct CapabilityRequest {
  bool privileged = false;
  std::vector<std::string> add;   // "NET_ADMIN", "CAP_NET_ADMIN", "ALL", any case
  std::vector<std::string> drop;  // the same
};

struct CapabilityGrant {
  uint64_t mask = 0;
  std::vector<std::string> warnings;  // what was asked for and `available` lacks
};

// Docker's rules: with "ALL" added, all but the dropped; with "ALL" dropped, only the added;
// otherwise the default without the dropped and with the added. InvalidArgument names an unknown
// one.
absl::StatusOr<CapabilityGrant> ResolveCapabilities(const CapabilityRequest& request,
                                                    uint64_t available);

// "CAP_NET_ADMIN".
std::string CapabilityName(int number);
std::vector<std::string> CapabilityNames(uint64_t mask);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_CAPABILITIES_H_
