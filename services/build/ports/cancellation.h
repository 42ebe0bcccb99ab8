#ifndef SERVICES_BUILD_PORTS_CANCELLATION_H_
#define SERVICES_BUILD_PORTS_CANCELLATION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace slipway::build {

// Tells everything that works for a build that it has ended. Thread-safe.
class Cancellation {
 public:
  // Calls `cancel` once, from the thread that cancels or from this one when that was before; not
  // any more after the destructor. Not movable.
  class Watch {
   public:
    Watch(Cancellation& owner, std::function<void()> cancel) : owner_(owner) {
      bool now = false;
      {
        absl::MutexLock lock(&owner_.mu_);
        now = owner_.cancelled();
        key_ = ++owner_.last_key_;
        if (!now) owner_.watches_.emplace(key_, cancel);
      }
      if (now) cancel();
    }
    ~Watch() {
      absl::MutexLock lock(&owner_.mu_);
      owner_.watches_.erase(key_);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Cancellation& owner_;
    uint64_t key_ = 0;
  };

  // The callbacks must not call back here.
  void Cancel() {
    absl::MutexLock lock(&mu_);
    if (cancelled_.exchange(true)) return;
    for (const auto& [key, cancel] : watches_) cancel();
    watches_.clear();
  }

  bool cancelled() const { return cancelled_.load(); }
  absl::Status status() const {
    return cancelled() ? absl::CancelledError("the build was cancelled") : absl::OkStatus();
  }

 private:
  mutable absl::Mutex mu_;
  std::atomic<bool> cancelled_ = false;
  uint64_t last_key_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, std::function<void()>> watches_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_CANCELLATION_H_
