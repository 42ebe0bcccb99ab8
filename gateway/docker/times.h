#ifndef GATEWAY_DOCKER_TIMES_H_
#define GATEWAY_DOCKER_TIMES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// Docker's ways to write time. Pure.
namespace slipway::gateway {

// Go's RFC3339Nano in UTC: "2024-05-06T07:08:09.1234Z", without trailing zeros. Zero becomes Go's
// zero time, "0001-01-01T00:00:00Z".
std::string Rfc3339Nano(int64_t unix_ns);

// With all nine digits, as `docker logs --timestamps` has it.
std::string Rfc3339NanoFixed(int64_t unix_ns);

// A query's time: "" (zero), Unix seconds with an optional fraction, or RFC 3339. InvalidArgument,
// naming the parameter, for anything else. Negative times are zero.
absl::StatusOr<int64_t> ParseTimestamp(absl::string_view name, absl::string_view text);

// "5 seconds", "About a minute", "3 weeks": how the CLI's status column speaks.
std::string HumanDuration(absl::Duration duration);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_TIMES_H_
