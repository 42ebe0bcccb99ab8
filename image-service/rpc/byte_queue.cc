#include "image-service/rpc/byte_queue.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

// Small enough that what was read is still in the cache when it is compressed and hashed.
constexpr size_t kReadBytes = 256 << 10;
constexpr int kLookMs = 500;

}  // namespace

bool ByteQueue::Push(std::string bytes) { return Push(Piece{.bytes = std::move(bytes)}); }

bool ByteQueue::Push(FilePart part) { return Push(Piece{.part = std::move(part)}); }

bool ByteQueue::Push(PipeEnd end) { return Push(Piece{.pipe = std::move(end.pipe)}); }

bool ByteQueue::Push(Piece piece) {
  absl::MutexLock lock(&mu_);
  if (!piece.empty()) {
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

absl::Status ByteQueue::aborted() {
  absl::MutexLock lock(&mu_);
  return aborted_;
}

absl::StatusOr<absl::string_view> ByteQueue::NextOfPipe() {
  if (buffer_ == nullptr) buffer_.reset(new char[kReadBytes]);
  while (true) {
    // Who writes may take its time; whoever waits for the image may leave meanwhile.
    pollfd readable = {current_.pipe.get(), POLLIN, 0};
    const int ready = poll(&readable, 1, kLookMs);
    RETURN_IF_ERROR(aborted());
    if (ready == 0) continue;
    const ssize_t count = read(current_.pipe.get(), buffer_.get(), kReadBytes);
    if (count >= 0) return absl::string_view(buffer_.get(), static_cast<size_t>(count));
    if (errno != EINTR && errno != EAGAIN) return ErrnoStatus(errno, "read a layer from a pipe");
  }
}

absl::StatusOr<absl::string_view> ByteQueue::Next() {
  if (current_.part.size_bytes > 0) {
    RETURN_IF_ERROR(aborted());
    return NextOfFile();
  }
  if (current_.pipe.ok()) {
    ASSIGN_OR_RETURN(const absl::string_view bytes, NextOfPipe());
    if (!bytes.empty()) return bytes;
    current_.pipe.reset();
  }
  bool has_room = false;
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
  if (current_.pipe.ok()) return Next();
  return absl::string_view(current_.bytes);
}

}  // namespace slipway::image
