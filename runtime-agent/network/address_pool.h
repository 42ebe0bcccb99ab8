#ifndef RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_
#define RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
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
// caches), and passes over what owners had last, who get it again, for as long as there are others.
// An owner is remembered until its address is another's. Amortised O(1). Not thread-safe.
class AddressPool {
 public:
  explicit AddressPool(Subnet subnet) : AddressPool(subnet, subnet.gateway(), std::nullopt, {}) {}
  AddressPool(Subnet subnet, uint32_t gateway, std::optional<Subnet> range,
              const std::vector<uint32_t>& reserved);

  // What the owner had last, where that is free. Empty: nobody is remembered. ResourceExhausted
  // when none is left in the range.
  absl::StatusOr<uint32_t> Reserve(const std::string& owner = "");
  // InvalidArgument outside the subnet, AlreadyExists when in use or never handed out.
  absl::Status ReserveAddress(uint32_t address, const std::string& owner = "");
  void Release(uint32_t address);
  // What it has, or had last.
  std::optional<uint32_t> LastOf(const std::string& owner) const;
  void Forget(const std::string& owner);
  size_t free_count() const { return free_; }
  const Subnet& subnet() const { return subnet_; }

 private:
  using Words = std::vector<uint64_t>;

  static bool Has(const Words& words, uint32_t offset) {
    return (words[offset / 64] >> (offset % 64)) & 1;
  }
  bool Used(uint32_t offset) const { return Has(used_, offset); }
  bool InRange(uint32_t offset) const { return offset >= first_ && offset <= last_; }
  bool IsFixed(uint32_t address) const;
  // Adds it to the counts, or takes it away from them.
  void Count(uint32_t offset, bool add);
  void Set(Words& words, uint32_t offset, bool value);
  void Take(uint32_t offset, const std::string& owner);

  Subnet subnet_;
  std::vector<uint32_t> fixed_;  // addresses that stay as they are
  uint32_t first_ = 0;           // of the range, as offsets
  uint32_t last_ = 0;
  Words used_;                                         // a set bit: in use
  Words owned_;                                        // a set bit: somebody has it, or had it last
  size_t free_ = 0;                                    // in the range
  size_t fresh_ = 0;                                   // of those, nobody's
  uint32_t next_ = 0;                                  // offset where the search starts
  absl::flat_hash_map<uint32_t, std::string> owners_;  // by offset
  absl::flat_hash_map<std::string, uint32_t> offsets_;  // by owner
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_ADDRESS_POOL_H_
