#ifndef SERVICES_CONTAINER_PORTS_CLOCK_H_
#define SERVICES_CONTAINER_PORTS_CLOCK_H_

#include <cstdint>
#include <functional>

#include "absl/time/time.h"

namespace slipway::container {

// Time, and what happens at a later time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowUnixNs() = 0;
  // Runs `task` once, on a thread of the clock's, no earlier than after `delay`. Tasks must not
  // block. Tasks that were not due when the clock is destroyed do not run.
  virtual void RunAfter(absl::Duration delay, std::function<void()> task) = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_CLOCK_H_
