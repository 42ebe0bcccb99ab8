#include "services/container/rpc/wait_stream.h"

#include <utility>

#include "base/rpc/status_conversion.h"

namespace slipway::container {

WaitStream* WaitStream::Begin(EntryPtr entry, WaitCondition condition) {
  std::shared_ptr<WaitStream> stream(new WaitStream(std::move(entry)));
  stream->self_ = stream;
  stream->first_.set_registered(true);
  stream->first_.set_container_id(stream->entry_->snapshot()->id());
  const absl::StatusOr<uint64_t> waiter = stream->entry_->Wait(
      condition, [stream](const WaitOutcome& outcome) { stream->OnOutcome(outcome); });
  if (!waiter.ok()) {
    {
      absl::MutexLock lock(&stream->mu_);
      stream->finished_ = true;
    }
    stream->Finish(ToGrpc(waiter.status()));
    return stream.get();
  }
  bool cancelled = false;
  {
    absl::MutexLock lock(&stream->mu_);
    stream->waiter_ = *waiter;
    cancelled = stream->cancelled_;
  }
  if (cancelled) stream->entry_->CancelWait(*waiter);
  stream->StartWrite(&stream->first_);
  return stream.get();
}

void WaitStream::OnOutcome(const WaitOutcome& outcome) {
  {
    absl::MutexLock lock(&mu_);
    last_.set_container_id(first_.container_id());
    last_.set_exit_code(outcome.exit_code);
    last_.set_error(outcome.error);
    has_outcome_ = true;
  }
  Advance();
}

void WaitStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) cancelled_ = true;
  }
  Advance();
}

void WaitStream::OnCancel() {
  uint64_t waiter = 0;
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    waiter = waiter_;
  }
  if (waiter != 0) entry_->CancelWait(waiter);
  Advance();
}

void WaitStream::Advance() {
  bool send = false;
  {
    absl::MutexLock lock(&mu_);
    if (writing_ || finished_ || (!cancelled_ && !has_outcome_)) return;
    finished_ = true;
    send = !cancelled_;
  }
  if (send) {
    StartWriteAndFinish(&last_, grpc::WriteOptions(), grpc::Status::OK);
  } else {
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
  }
}

void WaitStream::OnDone() {
  uint64_t waiter = 0;
  {
    absl::MutexLock lock(&mu_);
    waiter = waiter_;
  }
  if (waiter != 0) entry_->CancelWait(waiter);
  const std::shared_ptr<WaitStream> last = std::move(self_);
}

}  // namespace slipway::container
