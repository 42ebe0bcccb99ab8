#ifndef IMAGE_SERVICE_RPC_BLOCKING_WRITER_H_
#define IMAGE_SERVICE_RPC_BLOCKING_WRITER_H_

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace slipway::image {

// Puts messages of a job's thread onto the stream of a callback reactor; Write returns when the
// message before is on its way, so that a slow client slows the job down. The reactor calls
// OnWriteDone. Thread-safe between the job and gRPC's threads.
template <typename Reactor, typename Message>
class BlockingWriter {
 public:
  explicit BlockingWriter(Reactor* reactor) : reactor_(reactor) {}

  // Cancelled when the client is gone.
  absl::Status Write(Message message) {
    if (absl::Status gone = WaitForWrite(); !gone.ok()) return gone;
    message_ = std::move(message);
    {
      absl::MutexLock lock(&mu_);
      writing_ = true;
    }
    reactor_->StartWrite(&message_);
    return absl::OkStatus();
  }
  // Before the reactor is finished: no write is under way afterwards.
  void Drain() { (void)WaitForWrite(); }

  void OnWriteDone(bool ok) {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) broken_ = true;
  }

 private:
  absl::Status WaitForWrite() {
    const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !writing_; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&idle));
    return broken_ ? absl::CancelledError("the client went away") : absl::OkStatus();
  }

  Reactor* const reactor_;
  Message message_;  // gRPC's while writing_
  absl::Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_BLOCKING_WRITER_H_
