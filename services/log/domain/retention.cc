#include "services/log/domain/retention.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace slipway::log {

std::vector<StoredSegment> PlanRetention(std::vector<StoredSegment> segments,
                                         uint64_t total_bytes) {
  uint64_t total = 0;
  for (const StoredSegment& segment : segments) total += segment.size_bytes;
  std::sort(segments.begin(), segments.end(), [](const StoredSegment& a, const StoredSegment& b) {
    return std::tie(a.last_write_unix_ns, a.container_id, a.segment) <
           std::tie(b.last_write_unix_ns, b.container_id, b.segment);
  });
  std::vector<StoredSegment> victims;
  for (StoredSegment& segment : segments) {
    if (total <= total_bytes) break;
    if (segment.last) continue;
    total -= segment.size_bytes;
    victims.push_back(std::move(segment));
  }
  return victims;
}

}  // namespace slipway::log
