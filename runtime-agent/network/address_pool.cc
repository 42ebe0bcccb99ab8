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
  used_.assign((count + 63) / 64, 0);
  owned_ = used_;
  const auto mark = [this](uint32_t offset) { used_[offset / 64] |= uint64_t{1} << (offset % 64); };
  for (uint32_t offset = count; offset < used_.size() * 64; ++offset) mark(offset);
  last_ = count - 1;
  if (range.has_value()) {
    const uint32_t size = range->prefix_length == 0 ? count : 1u << (32 - range->prefix_length);
    first_ = (range->network & ~(size - 1)) - subnet.network;
    last_ = std::min(count, first_ + size) - 1;
  }
  fixed_.insert(fixed_.end(), {subnet.network, gateway, subnet.broadcast()});
  for (const uint32_t address : fixed_) {
    if (subnet.Contains(address)) mark(address - subnet.network);
  }
  next_ = first_;
  for (uint32_t offset = first_; offset <= last_; ++offset) free_ += Used(offset) ? 0 : 1;
  fresh_ = free_;
}

bool AddressPool::IsFixed(uint32_t address) const {
  return std::find(fixed_.begin(), fixed_.end(), address) != fixed_.end();
}

void AddressPool::Count(uint32_t offset, bool add) {
  if (!InRange(offset) || Used(offset)) return;
  add ? ++free_ : --free_;
  if (!Has(owned_, offset)) add ? ++fresh_ : --fresh_;
}

void AddressPool::Set(Words& words, uint32_t offset, bool value) {
  Count(offset, /*add=*/false);
  const uint64_t bit = uint64_t{1} << (offset % 64);
  words[offset / 64] = value ? words[offset / 64] | bit : words[offset / 64] & ~bit;
  Count(offset, /*add=*/true);
}

void AddressPool::Take(uint32_t offset, const std::string& owner) {
  Set(used_, offset, true);
  if (const auto found = owners_.find(offset); found != owners_.end()) {
    if (found->second == owner) return;
    Forget(std::string(found->second));
  }
  if (owner.empty()) return;
  Forget(owner);
  owners_[offset] = owner;
  offsets_[owner] = offset;
  Set(owned_, offset, true);
}

std::optional<uint32_t> AddressPool::LastOf(const std::string& owner) const {
  const auto found = offsets_.find(owner);
  if (found == offsets_.end()) return std::nullopt;
  return subnet_.network + found->second;
}

void AddressPool::Forget(const std::string& owner) {
  const auto found = offsets_.find(owner);
  if (found == offsets_.end()) return;
  Set(owned_, found->second, false);
  owners_.erase(found->second);
  offsets_.erase(found);
}

absl::StatusOr<uint32_t> AddressPool::Reserve(const std::string& owner) {
  if (free_ == 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no address is left in ", FormatIpv4(subnet_.network), "/", subnet_.prefix_length));
  }
  const auto before = offsets_.find(owner);
  if (before != offsets_.end() && InRange(before->second) && !Used(before->second)) {
    const uint32_t offset = before->second;
    Take(offset, owner);
    return subnet_.network + offset;
  }
  const bool fresh = fresh_ > 0;
  const auto taken = [&](uint32_t word) { return used_[word] | (fresh ? owned_[word] : 0); };
  uint32_t offset = next_;
  while ((taken(offset / 64) >> (offset % 64)) & 1) {
    // Past the used ones of a word at once.
    const uint64_t passed = (uint64_t{1} << (offset % 64)) - 1;
    const auto next = static_cast<uint32_t>(
        offset / 64 * 64 + static_cast<uint32_t>(std::countr_one(taken(offset / 64) | passed)));
    offset = next > last_ ? first_ : next;
  }
  Take(offset, owner);
  next_ = offset == last_ ? first_ : offset + 1;
  return subnet_.network + offset;
}

absl::Status AddressPool::ReserveAddress(uint32_t address, const std::string& owner) {
  if (!subnet_.Contains(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("address ", FormatIpv4(address), " cannot be used in ",
                     FormatIpv4(subnet_.network), "/", subnet_.prefix_length));
  }
  const uint32_t offset = address - subnet_.network;
  if (IsFixed(address) || Used(offset)) {
    return absl::AlreadyExistsError(
        absl::StrCat("address ", FormatIpv4(address), " is already in use"));
  }
  Take(offset, owner);
  return absl::OkStatus();
}

void AddressPool::Release(uint32_t address) {
  if (!subnet_.Contains(address) || IsFixed(address)) return;
  const uint32_t offset = address - subnet_.network;
  if (Used(offset)) Set(used_, offset, false);
}

}  // namespace slipway::agent
