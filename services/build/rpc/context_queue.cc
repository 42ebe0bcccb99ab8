#include "services/build/rpc/context_queue.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

// Small enough that what was read is still in the cache when it is hashed.
constexpr size_t kReadBytes = 256 << 10;

}  // namespace

bool ContextQueue::Push(std::string bytes) {
  absl::MutexLock lock(&mu_);
  if (file_ != nullptr) {
    if (aborted_.ok()) aborted_ = absl::InvalidArgumentError("a context both by bytes and by file");
    return false;
  }
  bytes_ += bytes.size();
  if (!bytes.empty()) pieces_.push_back(std::move(bytes));
  stalled_ = bytes_ >= kRoomBytes;
  return !stalled_;
}

bool ContextQueue::PushFile(std::shared_ptr<const UniqueFd> file, uint64_t written_bytes) {
  absl::MutexLock lock(&mu_);
  const bool fits = (file == nullptr) == (file_ != nullptr) && pieces_.empty() &&
                    written_bytes >= written_ && written_bytes <= INT64_MAX;
  if (!fits) {
    if (aborted_.ok()) aborted_ = absl::InvalidArgumentError("a context's file that cannot be");
    return false;
  }
  if (file != nullptr) file_ = std::move(file);
  written_ = written_bytes;
  return true;
}

void ContextQueue::End() {
  absl::MutexLock lock(&mu_);
  ended_ = true;
}

void ContextQueue::Abort(absl::Status reason) {
  absl::MutexLock lock(&mu_);
  if (aborted_.ok()) aborted_ = std::move(reason);
}

bool ContextQueue::Begun() const {
  return !pieces_.empty() || file_ != nullptr || ended_ || !aborted_.ok();
}

bool ContextQueue::Ready() const {
  return !pieces_.empty() || read_ < written_ || ended_ || !aborted_.ok();
}

std::shared_ptr<const UniqueFd> ContextQueue::File() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ContextQueue::Begun));
  return file_;
}

absl::StatusOr<absl::string_view> ContextQueue::Read(int fd, uint64_t at) {
  ssize_t count = 0;
  size_t wanted = 0;
  {
    absl::MutexLock lock(&mu_);
    wanted = std::min<uint64_t>(written_ - at, kReadBytes);
  }
  if (buffer_ == nullptr) buffer_.reset(new char[kReadBytes]);
  do {
    count = pread(fd, buffer_.get(), wanted, static_cast<off_t>(at));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return ErrnoStatus(errno, "read the build's context from its file");
  if (count == 0) return absl::DataLossError("the file with the build's context is cut");
  absl::MutexLock lock(&mu_);
  read_ += static_cast<uint64_t>(count);
  return absl::string_view(buffer_.get(), static_cast<size_t>(count));
}

absl::StatusOr<absl::string_view> ContextQueue::Next() {
  bool room = false;
  std::shared_ptr<const UniqueFd> file;
  uint64_t at = 0;
  {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &ContextQueue::Ready));
    RETURN_IF_ERROR(aborted_);
    current_.clear();
    if (read_ < written_) {
      file = file_;
      at = read_;
    } else if (!pieces_.empty()) {
      current_ = std::move(pieces_.front());
      pieces_.pop_front();
      bytes_ -= current_.size();
      room = stalled_ && bytes_ < kRoomBytes / 2;
      if (room) stalled_ = false;
    }
  }
  if (file != nullptr) return Read(file->get(), at);
  if (room) on_room_();
  return absl::string_view(current_);
}

}  // namespace slipway::build
