#include "services/container/clients/system_clock.h"

#include <utility>

#include "absl/time/clock.h"

namespace slipway::container {

SystemClock::SystemClock() : thread_([this] { Run(); }) {}

int64_t SystemClock::NowUnixNs() { return absl::GetCurrentTimeNanos(); }

void SystemClock::RunAfter(absl::Duration delay, std::function<void()> task) {
  absl::MutexLock lock(&mu_);
  const auto at = tasks_.emplace(absl::Now() + delay, std::move(task));
  if (at == tasks_.begin()) changed_.Signal();
}

void SystemClock::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stop_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void SystemClock::Run() {
  absl::MutexLock lock(&mu_);
  while (!stop_) {
    if (tasks_.empty()) {
      changed_.Wait(&mu_);
      continue;
    }
    const auto first = tasks_.begin();
    if (first->first > absl::Now()) {
      changed_.WaitWithDeadline(&mu_, first->first);
      continue;
    }
    std::function<void()> task = std::move(first->second);
    tasks_.erase(first);
    mu_.Unlock();
    task();
    task = nullptr;
    mu_.Lock();
  }
}

}  // namespace slipway::container
