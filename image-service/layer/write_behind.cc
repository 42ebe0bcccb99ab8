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
    return !job_.has_value() || !failure_.ok();
  };
  mu_.Await(absl::Condition(&has_room));
  RETURN_IF_ERROR(failure_);
  job_ = Job{std::move(buffer), offset, size_bytes};
  if (spare_ == nullptr) return NewAlignedBuffer(buffer_bytes_);
  return std::move(spare_);
}

absl::Status WriteBehind::Drain() {
  absl::MutexLock lock(&mu_);
  const auto done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return !job_.has_value() || !failure_.ok();
  };
  mu_.Await(absl::Condition(&done));
  return failure_;
}

void WriteBehind::Run() {
  const auto work = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mu_) { return job_.has_value() || stopping_; };
  absl::MutexLock lock(&mu_);
  while (true) {
    mu_.Await(absl::Condition(&work));
    if (stopping_ || !failure_.ok()) return;
    // Nobody else takes it away.
    const absl::string_view bytes(job_->buffer.get(), job_->size_bytes);
    const uint64_t offset = job_->offset;
    mu_.Unlock();
    const absl::Status status = file_->WriteDirectAt(offset, bytes);
    mu_.Lock();
    failure_.Update(status);
    spare_ = std::move(job_->buffer);
    job_.reset();
  }
}

}  // namespace slipway::image
