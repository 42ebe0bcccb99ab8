#ifndef IMAGE_SERVICE_DOMAIN_CANCELLATION_H_
#define IMAGE_SERVICE_DOMAIN_CANCELLATION_H_

#include <atomic>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace slipway::image {

// Tells work that nobody waits for it any more. Set once. Thread-safe.
class Cancellation {
 public:
  void Cancel() {
    if (!set_.exchange(true)) notification_.Notify();
  }
  bool cancelled() const { return notification_.HasBeenNotified(); }
  // Sleeps for `time`; false as soon as it is cancelled.
  bool SleepFor(absl::Duration time) const {
    return !notification_.WaitForNotificationWithTimeout(time);
  }

 private:
  std::atomic<bool> set_ = false;
  absl::Notification notification_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_CANCELLATION_H_
