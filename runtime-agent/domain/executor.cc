#include "runtime-agent/domain/executor.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/os/thread.h"

namespace slipway::agent {

Executor::Executor(int threads, Kind kind) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, kind] {
      NameThread(kind == Kind::kBackground ? "reaper" : "worker");
      if (kind == Kind::kBackground) GiveWayToOthers();
      Run();
    });
  }
}

Executor::~Executor() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    timers_.clear();
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Executor::Post(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  changed_.Signal();
}

void Executor::After(absl::Duration delay, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (stop_) return;
  timers_.emplace(absl::Now() + delay, std::move(task));
  changed_.Signal();
}

void Executor::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    while (!timers_.empty() && timers_.begin()->first <= absl::Now()) {
      tasks_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    if (!tasks_.empty()) {
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      mutex_.Unlock();
      task();
      task = nullptr;
      mutex_.Lock();
      continue;
    }
    if (stop_) return;
    changed_.WaitWithDeadline(&mutex_,
                              timers_.empty() ? absl::InfiniteFuture() : timers_.begin()->first);
  }
}

}  // namespace slipway::agent
