#include "gateway/docker/until_filter.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {

absl::StatusOr<int64_t> ReadUntil(const Filters& filters, int64_t now_unix_ns) {
  const std::vector<std::string>& values = filters.Get("until");
  if (values.empty()) return 0;
  if (values.size() > 1) {
    return absl::InvalidArgumentError("more than one until filter specified");
  }
  absl::Duration ago;
  if (absl::ParseDuration(values[0], &ago)) {
    return std::max<int64_t>(now_unix_ns - absl::ToInt64Nanoseconds(ago), 1);
  }
  return ParseTimestamp("until", values[0]);
}

}  // namespace slipway::gateway
