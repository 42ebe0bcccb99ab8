#ifndef IMAGE_SERVICE_RPC_MESSAGE_WRITER_H_
#define IMAGE_SERVICE_RPC_MESSAGE_WRITER_H_

#include <grpcpp/support/status.h>

#include <cstddef>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway::image {

// Puts messages of any thread onto the stream of a callback reactor, one write at a time. The
// reactor calls OnWriteDone. Thread-safe. A slow client loses messages that may be lost, never
// others.
template <typename Reactor, typename Message>
class MessageWriter {
 public:
  explicit MessageWriter(Reactor* reactor) : reactor_(reactor) {}

  void Write(Message message, bool may_be_lost) {
    absl::MutexLock lock(&mu_);
    if (may_be_lost && messages_.size() >= kMaxQueued) return;
    messages_.push_back(std::move(message));
    StartNext();
  }

  // After all messages. Nothing may be written afterwards.
  void Finish(grpc::Status status) {
    bool now = false;
    {
      absl::MutexLock lock(&mu_);
      status_ = std::move(status);
      finishing_ = true;
      now = !writing_ && messages_.empty();
    }
    // Finish may end in the reactor's deletion: no lock is held and nothing is touched after it.
    if (now) reactor_->Finish(status_);
  }

  void OnWriteDone(bool ok) {
    bool now = false;
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      if (!ok) broken_ = true;
      messages_.pop_front();
      if (broken_) messages_.clear();
      StartNext();
      now = finishing_ && !writing_ && messages_.empty();
    }
    if (now) reactor_->Finish(status_);
  }

 private:
  static constexpr size_t kMaxQueued = 128;

  void StartNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (broken_) messages_.clear();
    if (writing_ || messages_.empty()) return;
    writing_ = true;
    reactor_->StartWrite(&messages_.front());
  }

  Reactor* const reactor_;
  absl::Mutex mu_;
  std::deque<Message> messages_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_;  // set once, before finishing_
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_MESSAGE_WRITER_H_
