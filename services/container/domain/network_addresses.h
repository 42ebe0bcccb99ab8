#ifndef SERVICES_CONTAINER_DOMAIN_NETWORK_ADDRESSES_H_
#define SERVICES_CONTAINER_DOMAIN_NETWORK_ADDRESSES_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/network.h"

// Arithmetic with addresses of both families. Pure functions, thread-safe. Errors are
// InvalidArgument in Docker's words unless said otherwise.
namespace slipway::container {

struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes = {};  // of IPv4 the first four

  bool operator==(const IpAddress&) const = default;
};

struct AddressBlock {
  IpAddress first;
  int prefix_length = 0;

  // "172.30.0.0/24". Bits behind the prefix are dropped, as Docker does.
  static absl::StatusOr<AddressBlock> Parse(absl::string_view text);
  std::string ToString() const;
  bool Contains(const IpAddress& address) const;
  bool Overlaps(const AddressBlock& other) const;
  // The address so many after the first.
  IpAddress At(uint64_t offset) const;
};

absl::StatusOr<IpAddress> ParseAddress(absl::string_view text);
std::string FormatAddress(const IpAddress& address);

// The first block of `prefix_length` in `pool` that overlaps with none of `taken`.
// ResourceExhausted where there is none.
absl::StatusOr<AddressBlock> FindFreeBlock(const AddressBlock& pool, int prefix_length,
                                           const std::vector<AddressBlock>& taken);

// The blocks of all subnets that say which they are.
std::vector<AddressBlock> BlocksOf(const VirtualNetwork& network);

// Checks what the client says of a subnet whose block is known, and fills in the gateway.
// PermissionDenied for an address that something else has.
absl::Status CompleteSubnet(Subnet& subnet);

// The pool of a host's IPv6 networks (RFC 4193), made of its id.
AddressBlock UniqueLocalPool(absl::string_view host_id);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_NETWORK_ADDRESSES_H_
