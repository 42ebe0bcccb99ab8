#ifndef RUNTIME_AGENT_DNS_CACHE_H_
#define RUNTIME_AGENT_DNS_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime-agent/dns/message.h"

namespace slipway::dns {

// Answers of other servers for as long as they count, the least recently used going first where
// there are too many. Not thread-safe. Times are seconds on any clock that does not go back.
class Cache {
 public:
  explicit Cache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // What makes two questions the same: name, type, class, the flags that change an answer, and who
  // is asked.
  static std::string KeyOf(const Query& query, std::string_view upstreams);

  // Empty where there is none that still counts. With times to live as they are now; the id is the
  // first asker's.
  std::string Find(const std::string& key, int64_t now_seconds);
  // Keeps it where it counts for some time at all.
  void Put(const std::string& key, const Answer& answer, std::string_view message,
           int64_t now_seconds);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string message;
    std::vector<uint16_t> ttl_offsets;
    int64_t stored_seconds = 0;
    int64_t expires_seconds = 0;
    std::list<std::string>::iterator use;
  };

  void Erase(std::unordered_map<std::string, Entry>::iterator entry);

  const size_t max_bytes_;
  size_t bytes_ = 0;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> uses_;  // keys, the latest first
};

}  // namespace slipway::dns

#endif  // RUNTIME_AGENT_DNS_CACHE_H_
