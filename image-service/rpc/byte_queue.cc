#include "image-service/rpc/byte_queue.h"

namespace slipway::image {

bool ByteQueue::Push(std::string bytes) {
  absl::MutexLock lock(&mu_);
  if (!bytes.empty()) {
    bytes_ += bytes.size();
    pieces_.push_back(std::move(bytes));
  }
  stalled_ = bytes_ >= kRoomBytes;
  return !stalled_;
}

void ByteQueue::End() {
  absl::MutexLock lock(&mu_);
  ended_ = true;
}

void ByteQueue::Abort() {
  absl::MutexLock lock(&mu_);
  aborted_ = true;
}

absl::StatusOr<absl::string_view> ByteQueue::Next() {
  bool has_room = false;
  {
    absl::MutexLock lock(&mu_);
    const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return !pieces_.empty() || ended_ || aborted_;
    };
    mu_.Await(absl::Condition(&ready));
    if (aborted_) return absl::CancelledError("the client went away");
    if (pieces_.empty()) return absl::string_view();
    current_ = std::move(pieces_.front());
    pieces_.pop_front();
    bytes_ -= current_.size();
    if (stalled_ && bytes_ < kRoomBytes) {
      stalled_ = false;
      has_room = true;
    }
  }
  if (has_room) on_room_();
  return absl::string_view(current_);
}

}  // namespace slipway::image
