#ifndef IMAGE_SERVICE_DOMAIN_TRANSFER_SLOTS_H_
#define IMAGE_SERVICE_DOMAIN_TRANSFER_SLOTS_H_

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "image-service/domain/cancellation.h"

namespace slipway::image {

// A bound on the transfers of the whole service. Thread-safe.
class TransferSlots {
 public:
  // A slot until it is destroyed. Move-only.
  class Slot {
   public:
    explicit Slot(TransferSlots* slots) : slots_(slots) {}
    Slot(Slot&& other) noexcept : slots_(other.slots_) { other.slots_ = nullptr; }
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->Return();
    }

   private:
    TransferSlots* slots_;
  };

  explicit TransferSlots(int count) : free_(count) {}

  // Waits for a free one; Cancelled when it was in vain.
  absl::StatusOr<Slot> Take(const Cancellation& cancel) {
    const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return free_ > 0; };
    absl::MutexLock lock(&mu_);
    while (!mu_.AwaitWithTimeout(absl::Condition(&free), absl::Milliseconds(100))) {
      if (cancel.cancelled()) return absl::CancelledError("the transfer was cancelled");
    }
    --free_;
    return Slot(this);
  }

 private:
  void Return() {
    absl::MutexLock lock(&mu_);
    ++free_;
  }

  absl::Mutex mu_;
  int free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_TRANSFER_SLOTS_H_
