#include "services/container/domain/network_addresses.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::container {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

int Bits(const IpAddress& address) { return address.v6 ? 128 : 32; }

bool SamePrefix(const IpAddress& left, const IpAddress& right, int prefix_length) {
  if (left.v6 != right.v6) return false;
  for (int bit = 0; bit < prefix_length; bit += 8) {
    const int wanted = std::min(8, prefix_length - bit);
    const auto mask = static_cast<uint8_t>(0xff << (8 - wanted));
    const auto index = static_cast<size_t>(bit / 8);
    if (((left.bytes[index] ^ right.bytes[index]) & mask) != 0) return false;
  }
  return true;
}

// Adds `amount` · 2^`shift`.
void Add(IpAddress& address, uint64_t amount, int shift) {
  const int last = Bits(address) / 8 - 1;
  uint64_t carry = amount << (shift % 8);
  for (int i = last - shift / 8; i >= 0 && carry != 0; --i) {
    carry += address.bytes[static_cast<size_t>(i)];
    address.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
}

absl::Status CheckInside(const AddressBlock& block, const std::string& text, IpAddress* address) {
  ASSIGN_OR_RETURN(*address, ParseAddress(text));
  if (!block.Contains(*address)) {
    return Bad("no matching subnet for gateway ", text, ": it is not in ", block.ToString());
  }
  return absl::OkStatus();
}

// The network's own address and the broadcast address, which only IPv4 has.
bool IsReserved(const AddressBlock& block, const IpAddress& address) {
  if (block.first.v6) return false;
  return address == block.first ||
         address == block.At((uint64_t{1} << (32 - block.prefix_length)) - 1);
}

template <typename... Parts>
absl::Status InUse(const Parts&... parts) {
  return absl::PermissionDeniedError(
      absl::StrCat("failed to allocate ", parts..., ": Address already in use"));
}

}  // namespace

absl::StatusOr<IpAddress> ParseAddress(absl::string_view text) {
  IpAddress address;
  const std::string copy(text.substr(0, 100));
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) return address;
  address = {.v6 = true};
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return Bad("invalid IP address: ", copy);
}

std::string FormatAddress(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof(text));
  return text;
}

absl::StatusOr<AddressBlock> AddressBlock::Parse(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const absl::StatusOr<IpAddress> first = ParseAddress(parts.first);
  AddressBlock block;
  if (!first.ok() || !absl::SimpleAtoi(parts.second, &block.prefix_length) ||
      block.prefix_length < 0 || block.prefix_length > Bits(*first)) {
    return Bad("invalid CIDR address: ", text.substr(0, 100));
  }
  block.first = *first;
  for (int bit = block.prefix_length; bit < Bits(*first); ++bit) {
    block.first.bytes[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
  return block;
}

std::string AddressBlock::ToString() const {
  return absl::StrCat(FormatAddress(first), "/", prefix_length);
}

bool AddressBlock::Contains(const IpAddress& address) const {
  return SamePrefix(first, address, prefix_length);
}

bool AddressBlock::Overlaps(const AddressBlock& other) const {
  return SamePrefix(first, other.first, std::min(prefix_length, other.prefix_length));
}

IpAddress AddressBlock::At(uint64_t offset) const {
  IpAddress address = first;
  Add(address, offset, 0);
  return address;
}

absl::StatusOr<AddressBlock> FindFreeBlock(const AddressBlock& pool, int prefix_length,
                                           const std::vector<AddressBlock>& taken) {
  const int spare_bits = std::min(20, prefix_length - pool.prefix_length);
  AddressBlock candidate{.first = pool.first, .prefix_length = prefix_length};
  for (uint64_t left = uint64_t{1} << std::max(0, spare_bits); left > 0; --left) {
    const bool free = std::none_of(taken.begin(), taken.end(), [&](const AddressBlock& other) {
      return other.Overlaps(candidate);
    });
    if (free) return candidate;
    Add(candidate.first, 1, Bits(candidate.first) - prefix_length);
  }
  return absl::ResourceExhaustedError("all predefined address pools have been fully subnetted");
}

std::vector<AddressBlock> BlocksOf(const VirtualNetwork& network) {
  std::vector<AddressBlock> blocks;
  for (const Subnet& subnet : network.subnets) {
    if (auto block = AddressBlock::Parse(subnet.subnet); block.ok()) blocks.push_back(*block);
  }
  return blocks;
}

absl::Status CompleteSubnet(Subnet& subnet) {
  ASSIGN_OR_RETURN(const AddressBlock block, AddressBlock::Parse(subnet.subnet));
  const bool v6 = block.first.v6;
  if (v6 ? block.prefix_length > 126 || block.prefix_length < 16
         : block.prefix_length > 30 || block.prefix_length < 8) {
    return Bad("invalid subnet ", block.ToString(), ": it must be between ",
               v6 ? "/16 and /126" : "/8 and /30");
  }
  subnet.subnet = block.ToString();
  IpAddress gateway = block.At(1);
  if (!subnet.gateway.empty()) RETURN_IF_ERROR(CheckInside(block, subnet.gateway, &gateway));
  subnet.gateway = FormatAddress(gateway);
  if (IsReserved(block, gateway)) return InUse("gateway (", subnet.gateway, ")");
  if (!subnet.ip_range.empty()) {
    const auto range = AddressBlock::Parse(subnet.ip_range);
    if (!range.ok()) return range.status();
    if (!block.Contains(range->first) || range->prefix_length < block.prefix_length) {
      return Bad("no matching subnet for range ", subnet.ip_range);
    }
    subnet.ip_range = range->ToString();
  }
  for (auto& [name, text] : subnet.auxiliary_addresses) {
    const absl::StatusOr<IpAddress> address = ParseAddress(text);
    if (!address.ok() || !block.Contains(*address)) {
      return Bad("no matching subnet for aux-address ", text);
    }
    text = FormatAddress(*address);
    if (*address == gateway || IsReserved(block, *address)) {
      return InUse("secondary ip address (", name, ":", text, ")");
    }
  }
  return absl::OkStatus();
}

AddressBlock UniqueLocalPool(absl::string_view host_id) {
  AddressBlock pool{.first = {.v6 = true}, .prefix_length = 48};
  pool.first.bytes[0] = 0xfd;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : host_id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  for (size_t i = 1; i <= 5; ++i) pool.first.bytes[i] = static_cast<uint8_t>(hash >> (8 * i));
  return pool;
}

}  // namespace slipway::container
