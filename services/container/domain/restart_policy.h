#ifndef SERVICES_CONTAINER_DOMAIN_RESTART_POLICY_H_
#define SERVICES_CONTAINER_DOMAIN_RESTART_POLICY_H_

#include <cstdint>

#include "services/container/model/container.h"

// Docker's restart rules. Pure functions, thread-safe.
namespace slipway::container {

inline constexpr int64_t kFirstBackoffMs = 100;
inline constexpr int64_t kMaximumBackoffMs = 60'000;
inline constexpr int64_t kResetAfterRunNs = 10'000'000'000;

// Whether the end of the run that `container` has just recorded is followed by another one.
bool ShouldRestart(const Container& container);

// The delay before the next start: 100 ms, doubled each time up to a minute, and from the beginning
// after a run of at least 10 s. `previous_ms` is zero before the first.
int64_t NextBackoffMs(int64_t previous_ms, int64_t run_ns);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_RESTART_POLICY_H_
