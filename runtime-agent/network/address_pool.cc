#include "runtime-agent/network/address_pool.h"

#include <arpa/inet.h>

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

AddressPool::AddressPool(Subnet subnet) : subnet_(subnet) {
  uint32_t count = subnet.broadcast() - subnet.network + 1;
  words_.assign((count + 63) / 64, 0);
  for (uint32_t offset = count; offset < words_.size() * 64; ++offset) Mark(offset);
  for (uint32_t offset : {0u, 1u, count - 1}) Mark(offset);
  free_ = count - 3;
}

absl::StatusOr<uint32_t> AddressPool::Reserve() {
  if (free_ == 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no address is left in ", FormatIpv4(subnet_.network), "/", subnet_.prefix_length));
  }
  size_t word = next_ / 64;
  // Bits before the starting point count as used on the first look at their word.
  uint64_t before = (uint64_t{1} << (next_ % 64)) - 1;
  while (~(words_[word] | before) == 0) {
    before = 0;
    word = (word + 1) % words_.size();
  }
  auto offset = static_cast<uint32_t>(word * 64 + std::countr_one(words_[word] | before));
  Mark(offset);
  --free_;
  next_ = static_cast<uint32_t>((offset + 1) % (words_.size() * 64));
  return subnet_.network + offset;
}

absl::Status AddressPool::ReserveAddress(uint32_t address) {
  if (!subnet_.Contains(address) || address == subnet_.network || address == subnet_.gateway() ||
      address == subnet_.broadcast()) {
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
  --free_;
  return absl::OkStatus();
}

void AddressPool::Release(uint32_t address) {
  if (!subnet_.Contains(address) || address == subnet_.network || address == subnet_.gateway() ||
      address == subnet_.broadcast()) {
    return;
  }
  uint32_t offset = address - subnet_.network;
  if (!Used(offset)) return;
  words_[offset / 64] &= ~(uint64_t{1} << (offset % 64));
  ++free_;
}

}  // namespace slipway::agent
