#ifndef RUNTIME_AGENT_NETWORK_IPV6_H_
#define RUNTIME_AGENT_NETWORK_IPV6_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace slipway::agent {

using Address6 = std::array<uint8_t, 16>;  // in network order

absl::StatusOr<Address6> ParseIpv6(const std::string& text);
std::string FormatIpv6(const Address6& address);

// What the kernel gives an interface of this MAC (RFC 4291, appendix A: modified EUI-64).
Address6 LinkLocalOf(const std::array<uint8_t, 6>& mac);

struct Subnet6 {
  Address6 network = {};
  uint32_t prefix_length = 0;

  // "fd00::/64", /16 to /126; bits behind the prefix are dropped.
  static absl::StatusOr<Subnet6> Parse(const std::string& text);
  bool Contains(const Address6& address) const;
  Address6 last() const;
  // The address so many after the first.
  Address6 At(uint64_t offset) const;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_IPV6_H_
