#include "services/log/store/segment_cursor.h"

#include <algorithm>
#include <utility>

#include "base/status/status_macros.h"

namespace slipway::log {

SegmentCursor::SegmentCursor(std::shared_ptr<const ContainerLog> log, const Position& from)
    : log_(std::move(log)), start_(from) {}

void SegmentCursor::Enter(ContainerLog::Extent extent, uint64_t offset) {
  extent_ = std::move(extent);
  scanner_.emplace(*extent_.file, std::max<uint64_t>(offset, kSegmentPrologueBytes), extent_.end);
  payload_end_ = extent_.payload_end;
  counted_to_ = scanner_->offset();
  payload_.reset();
  if (counted_to_ == kSegmentPrologueBytes) payload_ = Payload(extent_.file->header.before);
}

absl::StatusOr<bool> SegmentCursor::Advance(uint64_t& lost_bytes) {
  if (!scanner_) {
    ASSIGN_OR_RETURN(ContainerLog::Extent first, log_->ExtentFrom(start_.segment));
    if (first.file == nullptr) return false;
    const bool there = first.segment == start_.segment;
    // Deleted since the place was noted.
    if (!there && start_.offset > 0 && first.segment > start_.segment) {
      lost_bytes = first.segment - start_.segment;
    }
    Enter(std::move(first), there ? start_.offset : 0);
    return lost_bytes != 0 || scanner_->offset() < scanner_->end();
  }
  ASSIGN_OR_RETURN(ContainerLog::Extent now, log_->ExtentFrom(extent_.segment));
  if (now.file == nullptr) return false;
  if (now.segment == extent_.segment) {
    scanner_->set_end(now.end);
    extent_.last = now.last;
    payload_end_ = now.payload_end;
  } else {
    // Deleted under the cursor, which still has the file; nothing was appended to it since.
    ASSIGN_OR_RETURN(const uint64_t size, WrittenBytes(*extent_.file, "log segment"));
    scanner_->set_end(size);
    extent_.last = false;
  }
  if (scanner_->offset() < scanner_->end()) return true;
  if (extent_.last) return false;
  ASSIGN_OR_RETURN(ContainerLog::Extent next, log_->ExtentFrom(extent_.segment + 1));
  if (next.file == nullptr) return false;
  const uint64_t before = Payload(next.file->header.before);
  if (payload_end_ == 0) payload_end_ = payload_.value_or(0);
  if (payload_end_ != 0) {
    lost_bytes = before > payload_end_ ? before - payload_end_ : 0;
  } else if (spool_end_bytes_ != 0 && next.segment > spool_end_bytes_) {
    lost_bytes = next.segment - spool_end_bytes_;
  }
  spool_end_bytes_ = 0;
  Enter(std::move(next), 0);
  return lost_bytes != 0 || scanner_->offset() < scanner_->end();
}

absl::StatusOr<bool> SegmentCursor::Next(ReadBuffer& buffer, LogItem& item) {
  item = {};
  if (!scanner_ || scanner_->offset() >= scanner_->end()) {
    ASSIGN_OR_RETURN(const bool more, Advance(item.lost_bytes));
    if (!more) return false;
    if (item.lost_bytes != 0) {
      item.position = position();
      item.deleted = true;
      return true;
    }
  }
  ASSIGN_OR_RETURN(const RecordScanner::Found found, scanner_->Next(buffer));
  item.position = {.segment = extent_.segment, .offset = scanner_->found_offset()};
  if (found == RecordScanner::Found::kEnd) return false;
  const RecordHeader& header = scanner_->header();
  const bool known =
      found != RecordScanner::Found::kDamaged && found != RecordScanner::Found::kTorn;
  if (known) {
    Count(header, scanner_->data());
  } else {
    payload_.reset();
  }
  if (found != RecordScanner::Found::kRecord) {
    item.lost_bytes = known ? std::max<uint64_t>(header.data_bytes, 1)
                            : scanner_->offset() - scanner_->found_offset();
    item.record.stream = known ? header.stream : StdStream::kNone;
    item.record.time_unix_ns = known ? header.time_unix_ns : 0;
    if (known) spool_end_bytes_ = header.spool_end_bytes;
    log_->CountDamage(item.lost_bytes);
    return true;
  }
  spool_end_bytes_ = header.spool_end_bytes;
  item.record = {.time_unix_ns = header.time_unix_ns,
                 .kind = header.kind,
                 .stream = header.stream,
                 .data = scanner_->data()};
  if (header.kind == RecordKind::kGap) {
    item.record.data = {};
    item.record.dropped_bytes = DecodeGapData(scanner_->data());
  }
  return true;
}

void SegmentCursor::Count(const RecordHeader& header, absl::string_view data) {
  if (!payload_ || scanner_->offset() <= counted_to_) return;
  counted_to_ = scanner_->offset();
  if (header.kind == RecordKind::kChunk) *payload_ += header.data_bytes;
  if (header.kind == RecordKind::kGap) *payload_ += DecodeGapData(data);
}

void SegmentCursor::StepBack() {
  if (scanner_) scanner_->SeekTo(scanner_->found_offset());
}

Position SegmentCursor::position() const {
  if (!scanner_) return start_;
  return {.segment = extent_.segment, .offset = scanner_->offset()};
}

}  // namespace slipway::log
