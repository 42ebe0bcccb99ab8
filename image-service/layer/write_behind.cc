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
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<AlignedBuffer> WriteBehind::Write(AlignedBuffer buffer, uint64_t offset,
                                                 size_t size_bytes) {
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  absl::MutexLock lock(&mu_);
  const auto has_room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return jobs_.size() < kBuffers || !failure_.ok();
  };
  mu_.Await(absl::Condition(&has_room));
  RETURN_IF_ERROR(failure_);
  jobs_.push_back({std::move(buffer), offset, size_bytes});
  if (free_.empty()) return NewAlignedBuffer(buffer_bytes_);
  AlignedBuffer next = std::move(free_.back());
  free_.pop_back();
  return next;
}

absl::Status WriteBehind::Drain() {
  absl::MutexLock lock(&mu_);
  const auto done = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mu_) { return jobs_.empty() || !failure_.ok(); };
  mu_.Await(absl::Condition(&done));
  return failure_;
}

void WriteBehind::Run() {
  const auto work = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !jobs_.empty() || stopping_; };
  absl::MutexLock lock(&mu_);
  while (true) {
    mu_.Await(absl::Condition(&work));
    if (stopping_ || !failure_.ok()) return;
    const Job& job = jobs_.front();  // nobody else takes it away
    const absl::string_view bytes(job.buffer.get(), job.size_bytes);
    const uint64_t offset = job.offset;
    mu_.Unlock();
    const absl::Status status = file_->WriteDirectAt(offset, bytes);
    mu_.Lock();
    failure_.Update(status);
    free_.push_back(std::move(jobs_.front().buffer));
    jobs_.pop_front();
  }
}

}  // namespace slipway::image
