#ifndef SERVICES_BUILD_RPC_BYTE_QUEUE_H_
#define SERVICES_BUILD_RPC_BYTE_QUEUE_H_

#include <deque>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace slipway::build {

// Pieces of a context between the stream that receives them and the build that reads them. Bounded
// by the receiver: it asks for no more while there is no room. Thread-safe.
class ByteQueue {
 public:
  static constexpr size_t kRoomBytes = 4 << 20;

  // `on_room` is called, without locks held, when there is room again after Push returned false.
  explicit ByteQueue(std::function<void()> on_room) : on_room_(std::move(on_room)) {}

  // True when more may be received at once.
  bool Push(std::string bytes) {
    absl::MutexLock lock(&mu_);
    bytes_ += bytes.size();
    if (!bytes.empty()) pieces_.push_back(std::move(bytes));
    stalled_ = bytes_ >= kRoomBytes;
    return !stalled_;
  }
  void End() {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  // The sender is gone: Next fails.
  void Abort() {
    absl::MutexLock lock(&mu_);
    aborted_ = true;
  }

  // Valid until the next call; empty at the end.
  absl::StatusOr<absl::string_view> Next() {
    bool room = false;
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return !pieces_.empty() || ended_ || aborted_;
      };
      mu_.Await(absl::Condition(&ready));
      if (aborted_) return absl::CancelledError("the build's context broke off");
      current_.clear();
      if (pieces_.empty()) return absl::string_view();
      current_ = std::move(pieces_.front());
      pieces_.pop_front();
      bytes_ -= current_.size();
      room = stalled_ && bytes_ < kRoomBytes / 2;
      if (room) stalled_ = false;
    }
    if (room) on_room_();
    return absl::string_view(current_);
  }

 private:
  const std::function<void()> on_room_;
  absl::Mutex mu_;
  std::deque<std::string> pieces_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool aborted_ ABSL_GUARDED_BY(mu_) = false;
  std::string current_;  // the reader's
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_RPC_BYTE_QUEUE_H_
