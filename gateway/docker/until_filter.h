#ifndef GATEWAY_DOCKER_UNTIL_FILTER_H_
#define GATEWAY_DOCKER_UNTIL_FILTER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "gateway/docker/filters.h"

namespace slipway::gateway {

// The filter "until": a time as Docker writes it, or how long ago ("24h", "1h30m"). In nanoseconds
// since the Unix epoch; 0 where the filter is absent. InvalidArgument for more than one value.
// Pure.
absl::StatusOr<int64_t> ReadUntil(const Filters& filters, int64_t now_unix_ns);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_UNTIL_FILTER_H_
