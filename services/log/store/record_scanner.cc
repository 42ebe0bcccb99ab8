#include "services/log/store/record_scanner.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/crc32c.h"

namespace slipway::log {
namespace {

static_assert(ReadBuffer::kBytes >= kRecordHeaderBytes + kMaxRecordDataBytes);

uint64_t NextScannerId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

RecordScanner::RecordScanner(int fd, uint64_t salt, uint64_t begin, uint64_t end)
    : fd_(fd), salt_(salt), id_(NextScannerId()), next_(begin), end_(end) {}

absl::StatusOr<absl::string_view> RecordScanner::Fetch(ReadBuffer& buffer, uint64_t at,
                                                       size_t wanted) {
  const bool have =
      buffer.owner == id_ && at >= buffer.begin && at + wanted <= buffer.begin + buffer.size;
  if (!have) {
    if (buffer.bytes.size() < ReadBuffer::kBytes) buffer.bytes.resize(ReadBuffer::kBytes);
    buffer.owner = 0;
    const size_t most = static_cast<size_t>(std::min<uint64_t>(ReadBuffer::kBytes, end_ - at));
    size_t size = 0;
    while (size < most) {
      const ssize_t n =
          pread(fd_, buffer.bytes.data() + size, most - size, static_cast<off_t>(at + size));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, absl::StrCat("read log segment at ", at));
      if (n == 0) break;
      size += static_cast<size_t>(n);
    }
    if (size < wanted) {
      return absl::DataLossError(absl::StrCat("log segment ends at ", at + size, " instead of ",
                                              end_, ": it was shortened"));
    }
    buffer.owner = id_;
    buffer.begin = at;
    buffer.size = size;
  }
  return absl::string_view(buffer.bytes.data() + (at - buffer.begin), wanted);
}

absl::StatusOr<RecordScanner::Found> RecordScanner::Next(ReadBuffer& buffer) {
  found_ = next_;
  data_ = {};
  if (next_ >= end_) return Found::kEnd;
  if (end_ - next_ < kRecordHeaderBytes) {
    next_ = end_;
    return Found::kTorn;
  }
  ASSIGN_OR_RETURN(absl::string_view bytes, Fetch(buffer, next_, kRecordHeaderBytes));
  const auto header = DecodeRecordHeader(bytes.data(), salt_);
  if (!header) return Resynchronise(buffer);
  header_ = *header;
  if (end_ - next_ < kRecordHeaderBytes + header_.data_bytes) {
    next_ = end_;
    return Found::kTorn;
  }
  ASSIGN_OR_RETURN(bytes, Fetch(buffer, next_, kRecordHeaderBytes + header_.data_bytes));
  next_ += bytes.size();
  bytes.remove_prefix(kRecordHeaderBytes);
  if (Crc32c(bytes) != header_.data_crc) return Found::kDamagedData;
  data_ = bytes;
  return Found::kRecord;
}

absl::StatusOr<RecordScanner::Found> RecordScanner::Resynchronise(ReadBuffer& buffer) {
  uint64_t at = next_ + 1;
  while (at < end_ && end_ - at >= kRecordHeaderBytes) {
    const size_t window = static_cast<size_t>(std::min<uint64_t>(64 << 10, end_ - at));
    ASSIGN_OR_RETURN(const absl::string_view bytes, Fetch(buffer, at, window));
    size_t from = 0;
    while (true) {
      const size_t magic = bytes.find(RecordMagic(), from);
      if (magic == absl::string_view::npos || window - magic < kRecordHeaderBytes) break;
      if (DecodeRecordHeader(bytes.data() + magic, salt_)) {
        next_ = at + magic;
        return Found::kDamaged;
      }
      from = magic + 1;
    }
    // A header may lie across the end of this window.
    at += window - kRecordHeaderBytes + 1;
  }
  next_ = end_;
  return Found::kDamaged;
}

}  // namespace slipway::log
