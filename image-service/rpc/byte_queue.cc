#include "image-service/rpc/byte_queue.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

// Small enough that what was read is still in the cache when it is compressed and hashed.
constexpr size_t kReadBytes = 256 << 10;

}  // namespace

bool ByteQueue::Push(std::string bytes) {
  return Push(Piece{.bytes = std::move(bytes), .part = {}});
}

bool ByteQueue::Push(FilePart part) { return Push(Piece{.bytes = {}, .part = std::move(part)}); }

bool ByteQueue::Push(Piece piece) {
  absl::MutexLock lock(&mu_);
  if (!piece.bytes.empty() || piece.part.size_bytes > 0) {
    bytes_ += piece.weight();
    pieces_.push_back(std::move(piece));
  }
  stalled_ = bytes_ >= kRoomBytes;
  return !stalled_;
}

void ByteQueue::End() {
  absl::MutexLock lock(&mu_);
  ended_ = true;
}

void ByteQueue::Abort(absl::Status reason) {
  absl::MutexLock lock(&mu_);
  if (aborted_.ok()) aborted_ = std::move(reason);
}

absl::StatusOr<absl::string_view> ByteQueue::NextOfFile() {
  FilePart& part = current_.part;
  if (buffer_ == nullptr) buffer_.reset(new char[kReadBytes]);
  const size_t wanted = std::min<uint64_t>(part.size_bytes, kReadBytes);
  ssize_t count = 0;
  do {
    count = pread(part.file->get(), buffer_.get(), wanted, static_cast<off_t>(part.offset_bytes));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return ErrnoStatus(errno, "read a layer's content from its file");
  if (count == 0) return absl::DataLossError("the file with a layer's content is cut");
  part.offset_bytes += static_cast<uint64_t>(count);
  part.size_bytes -= static_cast<uint64_t>(count);
  return absl::string_view(buffer_.get(), static_cast<size_t>(count));
}

absl::StatusOr<absl::string_view> ByteQueue::Next() {
  bool has_room = false;
  if (current_.part.size_bytes > 0) {
    {
      absl::MutexLock lock(&mu_);
      RETURN_IF_ERROR(aborted_);
    }
    return NextOfFile();
  }
  {
    absl::MutexLock lock(&mu_);
    const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return !pieces_.empty() || ended_ || !aborted_.ok();
    };
    mu_.Await(absl::Condition(&ready));
    RETURN_IF_ERROR(aborted_);
    if (pieces_.empty()) return absl::string_view();
    current_ = std::move(pieces_.front());
    pieces_.pop_front();
    bytes_ -= current_.weight();
    if (stalled_ && bytes_ < kRoomBytes) {
      stalled_ = false;
      has_room = true;
    }
  }
  if (has_room) on_room_();
  if (current_.part.size_bytes > 0) return NextOfFile();
  return absl::string_view(current_.bytes);
}

}  // namespace slipway::image
