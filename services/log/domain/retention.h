#ifndef SERVICES_LOG_DOMAIN_RETENTION_H_
#define SERVICES_LOG_DOMAIN_RETENTION_H_

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::log {

struct StoredSegment {
  std::string container_id;
  uint64_t segment = 0;
  uint64_t size_bytes = 0;
  int64_t last_write_unix_ns = 0;
  // Records may still be appended to it.
  bool last = false;
};

// Which segments to delete, oldest first, so that all together have at most `total_bytes`. The last
// segment of a container stays, and so may the whole be larger. Pure; thread-safe.
std::vector<StoredSegment> PlanRetention(std::vector<StoredSegment> segments, uint64_t total_bytes);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_RETENTION_H_
