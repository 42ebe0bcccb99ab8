#ifndef SERVICES_LOG_DOMAIN_RETENTION_H_
#define SERVICES_LOG_DOMAIN_RETENTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/ports/description.h"

namespace slipway::log {

struct StoredSegment {
  std::string container_id;
  uint64_t segment = 0;
  uint64_t size_bytes = 0;
  int64_t last_write_unix_ns = 0;
  // Records may still be appended to it.
  bool last = false;
  bool sealed = false;
};

// Which segments to delete, oldest first, so that all together have at most `total_bytes` and none
// was last written before `oldest_unix_ns` (zero: no limit). The last segment of a container goes
// for its age only, and so may the whole be larger. Pure; thread-safe.
std::vector<StoredSegment> PlanRetention(std::vector<StoredSegment> segments, uint64_t total_bytes,
                                         int64_t oldest_unix_ns = 0);

// How much is kept of a container: its options max-size, times max-file, where it has them, and at
// most `limit_bytes`.
uint64_t KeptBytes(const LogDescription& description, uint64_t limit_bytes);

// "10k", "20m", "1g" and plain bytes, as Docker's options have them.
absl::StatusOr<uint64_t> ParseSize(absl::string_view text);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_RETENTION_H_
