#include "services/log/store/record_scanner.h"

#include <algorithm>
#include <atomic>

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

RecordScanner::RecordScanner(const SegmentFile& file, uint64_t begin, uint64_t end)
    : file_(&file), id_(NextScannerId()), next_(begin), end_(end) {}

absl::StatusOr<absl::string_view> RecordScanner::Fetch(ReadBuffer& buffer, uint64_t at,
                                                       size_t wanted) {
  const bool have =
      buffer.owner == id_ && at >= buffer.begin && at + wanted <= buffer.begin + buffer.size;
  if (!have) {
    RETURN_IF_ERROR(LoadBytes(*file_, at, wanted, end_, choice_, buffer));
    buffer.owner = id_;
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
  const auto header = DecodeRecordHeader(bytes.data(), file_->header.salt);
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
      if (DecodeRecordHeader(bytes.data() + magic, file_->header.salt)) {
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
