#include "runtime-agent/network/ipv6.h"

#include <arpa/inet.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

uint8_t MaskOfByte(uint32_t prefix_length, size_t index) {
  const auto first_bit = static_cast<uint32_t>(index * 8);
  if (prefix_length >= first_bit + 8) return 0xff;
  if (prefix_length <= first_bit) return 0;
  return static_cast<uint8_t>(0xff << (8 - (prefix_length - first_bit)));
}

}  // namespace

absl::StatusOr<Address6> ParseIpv6(const std::string& text) {
  Address6 address;
  if (inet_pton(AF_INET6, text.c_str(), address.data()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("invalid IPv6 address '", text, "'"));
  }
  return address;
}

std::string FormatIpv6(const Address6& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  return text;
}

Address6 LinkLocalOf(const std::array<uint8_t, 6>& mac) {
  Address6 address = {0xfe, 0x80};
  const uint8_t interface[] = {
      static_cast<uint8_t>(mac[0] ^ 2), mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  std::copy(std::begin(interface), std::end(interface), address.begin() + 8);
  return address;
}

absl::StatusOr<Subnet6> Subnet6::Parse(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  Subnet6 subnet;
  if (!absl::SimpleAtoi(parts.second, &subnet.prefix_length) || subnet.prefix_length < 16 ||
      subnet.prefix_length > 126) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid subnet '", text, "': the prefix must be /16 to /126"));
  }
  ASSIGN_OR_RETURN(subnet.network, ParseIpv6(parts.first));
  for (size_t i = 0; i < subnet.network.size(); ++i) {
    subnet.network[i] &= MaskOfByte(subnet.prefix_length, i);
  }
  return subnet;
}

bool Subnet6::Contains(const Address6& address) const {
  for (size_t i = 0; i < address.size(); ++i) {
    if ((address[i] & MaskOfByte(prefix_length, i)) != network[i]) return false;
  }
  return true;
}

Address6 Subnet6::last() const {
  Address6 address = network;
  for (size_t i = 0; i < address.size(); ++i) {
    address[i] = static_cast<uint8_t>(address[i] | ~MaskOfByte(prefix_length, i));
  }
  return address;
}

Address6 Subnet6::At(uint64_t offset) const {
  Address6 address = network;
  for (size_t i = address.size(); i-- > 0 && offset != 0; offset >>= 8) {
    offset += address[i];
    address[i] = static_cast<uint8_t>(offset);
  }
  return address;
}

}  // namespace slipway::agent
