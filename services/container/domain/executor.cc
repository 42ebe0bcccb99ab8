#include "services/container/domain/executor.h"

#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "base/os/thread.h"

namespace slipway::container {
namespace {

constexpr int kKeptThreads = 2;
constexpr absl::Duration kIdleTime = absl::Seconds(20);

}  // namespace

void Executor::Post(std::function<void()> task) {
  bool grow = false;
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
    tasks_.push_back(std::move(task));
    grow = static_cast<size_t>(idle_) < tasks_.size() && threads_ < max_threads_;
    if (grow) {
      ++threads_;
    } else {
      work_.Signal();
    }
  }
  if (grow) std::thread([this] { Run(); }).detach();
}

size_t Executor::backlog() const {
  absl::MutexLock lock(&mu_);
  return tasks_.size();
}

void Executor::Shutdown() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  tasks_.clear();
  work_.SignalAll();
  mu_.Await(absl::Condition(
      +[](int* threads) { return *threads == 0; }, &threads_));
}

void Executor::Run() {
  NameThread("worker");
  absl::MutexLock lock(&mu_);
  while (true) {
    while (tasks_.empty() && !stopped_) {
      ++idle_;
      const bool timed_out = work_.WaitWithTimeout(&mu_, kIdleTime);
      --idle_;
      if (timed_out && tasks_.empty() && threads_ > kKeptThreads) {
        --threads_;
        return;
      }
    }
    if (stopped_) {
      --threads_;
      return;
    }
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    mu_.Unlock();
    task();
    task = nullptr;
    mu_.Lock();
  }
}

}  // namespace slipway::container
