#include "runtime-agent/network/address_pool.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::agent {

absl::StatusOr<uint32_t> ParseIpv4(const std::string& text) {
  in_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("invalid IPv4 address '", text, "'"));
  }
  return ntohl(address.s_addr);
}

std::string FormatIpv4(uint32_t address) {
  return absl::StrCat(address >> 24, ".", (address >> 16) & 255, ".", (address >> 8) & 255, ".",
                      address & 255);
}

absl::StatusOr<Subnet> Subnet::Parse(const std::string& text) {
  std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  Subnet subnet;
  if (!absl::SimpleAtoi(parts.second, &subnet.prefix_length) || subnet.prefix_length < 8 ||
      subnet.prefix_length > 30) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid subnet '", text, "': the prefix must be /8 to /30"));
  }
  ASSIGN_OR_RETURN(subnet.network, ParseIpv4(parts.first));
  if ((subnet.network & (0xffffffffu >> subnet.prefix_length)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid subnet '", text, "': bits are set behind the prefix"));
  }
  return subnet;
}

AddressPool::AddressPool(Subnet subnet, uint32_t gateway, std::optional<Subnet> range,
                         const std::vector<uint32_t>& reserved)
    : subnet_(subnet), fixed_(reserved) {
  const uint32_t count = subnet.broadcast() - subnet.network + 1;
  words_.assign((count + 63) / 64, 0);
  for (uint32_t offset = count; offset < words_.size() * 64; ++offset) Mark(offset);
  last_ = count - 1;
  if (range.has_value()) {
    const uint32_t size = range->prefix_length == 0 ? count : 1u << (32 - range->prefix_length);
    first_ = (range->network & ~(size - 1)) - subnet.network;
    last_ = std::min(count, first_ + size) - 1;
  }
  fixed_.insert(fixed_.end(), {subnet.network, gateway, subnet.broadcast()});
  for (const uint32_t address : fixed_) {
    if (subnet.Contains(address)) Mark(address - subnet.network);
  }
  next_ = first_;
  for (uint32_t offset = first_; offset <= last_; ++offset) free_ += Used(offset) ? 0 : 1;
}

bool AddressPool::IsFixed(uint32_t address) const {
  return std::find(fixed_.begin(), fixed_.end(), address) != fixed_.end();
}

absl::StatusOr<uint32_t> AddressPool::Reserve() {
  if (free_ == 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no address is left in ", FormatIpv4(subnet_.network), "/", subnet_.prefix_length));
  }
  uint32_t offset = next_;
  while (Used(offset)) {
    // Past the used ones of a word at once.
    const uint64_t before = (uint64_t{1} << (offset % 64)) - 1;
    const auto next = static_cast<uint32_t>(
        offset / 64 * 64 + static_cast<uint32_t>(std::countr_one(words_[offset / 64] | before)));
    offset = next > last_ ? first_ : next;
  }
  Mark(offset);
  --free_;
  next_ = offset == last_ ? first_ : offset + 1;
  return subnet_.network + offset;
}

absl::Status AddressPool::ReserveAddress(uint32_t address) {
  if (!subnet_.Contains(address) || IsFixed(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("address ", FormatIpv4(address), " cannot be used in ",
                     FormatIpv4(subnet_.network), "/", subnet_.prefix_length));
  }
  uint32_t offset = address - subnet_.network;
  if (Used(offset)) {
    return absl::AlreadyExistsError(
        absl::StrCat("address ", FormatIpv4(address), " is already in use"));
  }
  Mark(offset);
  if (InRange(offset)) --free_;
  return absl::OkStatus();
}

void AddressPool::Release(uint32_t address) {
  if (!subnet_.Contains(address) || IsFixed(address)) return;
  uint32_t offset = address - subnet_.network;
  if (!Used(offset)) return;
  words_[offset / 64] &= ~(uint64_t{1} << (offset % 64));
  if (InRange(offset)) ++free_;
}

}  // namespace slipway::agent
