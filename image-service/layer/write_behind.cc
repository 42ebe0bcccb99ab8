#include "image-service/layer/write_behind.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "base/status/status_macros.h"

namespace slipway::image {

WriteBehind::~WriteBehind() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<AlignedBuffer> WriteBehind::Write(AlignedBuffer buffer, uint64_t offset,
                                                 size_t size_bytes) {
  if (threads_.empty()) {
    file_->OpenDirect();
    for (size_t i = 0; i < kWriters; ++i) threads_.emplace_back([this] { Run(); });
  }
  absl::MutexLock lock(&mu_);
  const auto has_room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return unwritten_ < kWriters || !failure_.ok();
  };
  mu_.Await(absl::Condition(&has_room));
  RETURN_IF_ERROR(failure_);
  waiting_.push_back(Job{std::move(buffer), offset, size_bytes});
  ++unwritten_;
  if (spare_.empty()) return NewAlignedBuffer(buffer_bytes_);
  AlignedBuffer next = std::move(spare_.back());
  spare_.pop_back();
  return next;
}

absl::Status WriteBehind::Drain() {
  absl::MutexLock lock(&mu_);
  const auto done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return unwritten_ == 0 || !failure_.ok();
  };
  mu_.Await(absl::Condition(&done));
  return failure_;
}

void WriteBehind::Run() {
  const auto work = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !waiting_.empty() || stopping_; };
  absl::MutexLock lock(&mu_);
  while (true) {
    mu_.Await(absl::Condition(&work));
    if (stopping_ || !failure_.ok()) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    mu_.Unlock();
    const absl::Status status =
        file_->WriteDirectAt(job.offset, absl::string_view(job.buffer.get(), job.size_bytes));
    mu_.Lock();
    failure_.Update(status);
    spare_.push_back(std::move(job.buffer));
    --unwritten_;
  }
}

}  // namespace slipway::image
