#include "image-service/layer/extent_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxFillBytes = 4096;

}  // namespace

absl::Status ExtentBuffer::WriteAt(uint64_t offset, absl::string_view bytes) {
  const uint64_t end = start_ + used_;
  const bool joins = used_ > 0 && offset >= end && offset - end < kMaxFillBytes &&
                     offset - end <= capacity_bytes_ - used_;
  if (joins) {
    memset(buffer_.get() + used_, 0, offset - end);
    used_ += offset - end;
  } else {
    RETURN_IF_ERROR(Flush());
    start_ = offset;
  }
  while (!bytes.empty()) {
    if (used_ == 0 && bytes.size() >= capacity_bytes_ && start_ < direct_from_bytes_) {
      RETURN_IF_ERROR(file_->WriteAt(start_, bytes));
      start_ += bytes.size();
      return absl::OkStatus();
    }
    if (buffer_ == nullptr) buffer_ = NewAlignedBuffer(capacity_bytes_);
    const size_t part = std::min(bytes.size(), capacity_bytes_ - used_);
    memcpy(buffer_.get() + used_, bytes.data(), part);
    used_ += part;
    bytes.remove_prefix(part);
    if (used_ == capacity_bytes_) RETURN_IF_ERROR(Flush());
  }
  return absl::OkStatus();
}

absl::Status ExtentBuffer::Flush() {
  if (used_ == 0) return absl::OkStatus();
  const size_t used = used_;
  used_ = 0;
  if (start_ >= direct_from_bytes_ && start_ % kDirectAlignment == 0) {
    const size_t whole = (used + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
    memset(buffer_.get() + used, 0, whole - used);
    ASSIGN_OR_RETURN(buffer_, behind_.Write(std::move(buffer_), start_, whole));
  } else {
    RETURN_IF_ERROR(file_->WriteAt(start_, absl::string_view(buffer_.get(), used)));
  }
  start_ += used;
  return absl::OkStatus();
}

absl::Status ExtentBuffer::Drain() {
  RETURN_IF_ERROR(Flush());
  return behind_.Drain();
}

}  // namespace slipway::image
