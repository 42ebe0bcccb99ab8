#include "runtime-agent/dns/cache.h"

#include <algorithm>

namespace slipway::dns {
namespace {

constexpr uint32_t kLongestSeconds = 3600;
constexpr uint32_t kLongestNegativeSeconds = 30;
constexpr size_t kLargestBytes = 8192;

size_t CostOf(const std::string& key, const std::string& message) {
  return 2 * key.size() + message.size() + 256;
}

}  // namespace

std::string Cache::KeyOf(const Query& query, std::string_view upstreams) {
  std::string key = query.name;
  key.push_back('\0');
  for (const uint16_t number : {query.type, query.klass}) {
    key.push_back(static_cast<char>(number >> 8));
    key.push_back(static_cast<char>(number));
  }
  key.push_back(
      static_cast<char>(query.dnssec_ok << 2 | query.checking_disabled << 1 | query.has_edns));
  key += upstreams;
  return key;
}

void Cache::Erase(std::unordered_map<std::string, Entry>::iterator entry) {
  bytes_ -= CostOf(entry->first, entry->second.message);
  uses_.erase(entry->second.use);
  entries_.erase(entry);
}

std::string Cache::Find(const std::string& key, int64_t now_seconds) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return "";
  Entry& entry = found->second;
  if (now_seconds >= entry.expires_seconds) {
    Erase(found);
    return "";
  }
  uses_.splice(uses_.begin(), uses_, entry.use);
  std::string message = entry.message;
  const auto age = static_cast<uint32_t>(now_seconds - entry.stored_seconds);
  for (const uint16_t offset : entry.ttl_offsets) {
    const uint32_t ttl = Read32(message, offset);
    Write32(message, offset, ttl > age ? ttl - age : 0);
  }
  return message;
}

void Cache::Put(const std::string& key, const Answer& answer, std::string_view message,
                int64_t now_seconds) {
  const bool positive = answer.rcode == kNoError && !answer.ttl_offsets.empty();
  const bool negative = answer.rcode == kNxDomain;
  const uint32_t seconds =
      std::min(answer.ttl_seconds, negative ? kLongestNegativeSeconds : kLongestSeconds);
  if (answer.truncated || (!positive && !negative) || seconds == 0 ||
      message.size() > kLargestBytes) {
    return;
  }
  if (const auto found = entries_.find(key); found != entries_.end()) Erase(found);
  uses_.push_front(key);
  Entry entry{.message = std::string(message),
              .ttl_offsets = answer.ttl_offsets,
              .stored_seconds = now_seconds,
              .expires_seconds = now_seconds + seconds,
              .use = uses_.begin()};
  bytes_ += CostOf(key, entry.message);
  entries_.emplace(key, std::move(entry));
  while (bytes_ > max_bytes_ && !uses_.empty()) Erase(entries_.find(uses_.back()));
}

}  // namespace slipway::dns
