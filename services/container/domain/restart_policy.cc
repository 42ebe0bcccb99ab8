#include "services/container/domain/restart_policy.h"

#include <algorithm>

namespace slipway::container {

bool ShouldRestart(const Container& container) {
  if (container.suppress_restart) return false;
  const RestartPolicy& policy = container.definition->spec.restart_policy;
  switch (policy.mode) {
    case RestartPolicy::Mode::kAlways:
      return true;
    case RestartPolicy::Mode::kUnlessStopped:
      return !container.manually_stopped;
    case RestartPolicy::Mode::kOnFailure:
      return container.exit_code != 0 &&
             (policy.maximum_retries == 0 || container.restart_count < policy.maximum_retries);
    case RestartPolicy::Mode::kUnspecified:
    case RestartPolicy::Mode::kNo:
      return false;
  }
  return false;
}

int64_t NextBackoffMs(int64_t previous_ms, int64_t run_ns) {
  if (previous_ms <= 0 || run_ns >= kResetAfterRunNs) return kFirstBackoffMs;
  return std::min(previous_ms * 2, kMaximumBackoffMs);
}

}  // namespace slipway::container
