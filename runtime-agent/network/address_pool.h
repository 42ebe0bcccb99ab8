#ifndef RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_
#define RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::agent {

// An IPv4 network, in host byte order.
struct Subnet {
  uint32_t network = 0;
  uint32_t prefix_length = 0;

  // "172.29.0.0/16", /8 to /30, no bits set behind the prefix.
  static absl::StatusOr<Subnet> Parse(const std::string& text);
  uint32_t broadcast() const { return network | (0xffffffffu >> prefix_length); }
  uint32_t gateway() const { return network + 1; }
  bool Contains(uint32_t address) const { return address >= network && address <= broadcast(); }
};

absl::StatusOr<uint32_t> ParseIpv4(const std::string& text);
std::string FormatIpv4(uint32_t address);

// Which addresses of a subnet are in use. Network, gateway and broadcast address are never handed
// out, nor what was reserved; those outside of the range only by name. Goes round, so that an
// address given back is the last to be used again (its neighbours may still have it in their
// caches). Amortised O(1). Not thread-safe.
class AddressPool {
 public:
  explicit AddressPool(Subnet subnet) : AddressPool(subnet, subnet.gateway(), std::nullopt, {}) {}
  AddressPool(Subnet subnet, uint32_t gateway, std::optional<Subnet> range,
              const std::vector<uint32_t>& reserved);

  // ResourceExhausted when none is left in the range.
  absl::StatusOr<uint32_t> Reserve();
  // InvalidArgument outside the subnet or one never handed out, AlreadyExists when in use.
  absl::Status ReserveAddress(uint32_t address);
  void Release(uint32_t address);
  size_t free_count() const { return free_; }
  const Subnet& subnet() const { return subnet_; }

 private:
  bool Used(uint32_t offset) const { return (words_[offset / 64] >> (offset % 64)) & 1; }
  bool InRange(uint32_t offset) const { return offset >= first_ && offset <= last_; }
  bool IsFixed(uint32_t address) const;
  void Mark(uint32_t offset) { words_[offset / 64] |= uint64_t{1} << (offset % 64); }

  Subnet subnet_;
  std::vector<uint32_t> fixed_;  // addresses that stay as they are
  uint32_t first_ = 0;           // of the range, as offsets
  uint32_t last_ = 0;
  std::vector<uint64_t> words_;  // a set bit: in use
  size_t free_ = 0;              // in the range
  uint32_t next_ = 0;            // offset where the search starts
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_
