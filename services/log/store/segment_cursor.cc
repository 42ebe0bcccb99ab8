#include "services/log/store/segment_cursor.h"

#include <algorithm>
#include <utility>

#include "base/status/status_macros.h"
#include "services/log/store/sealed_format.h"

namespace slipway::log {

SegmentCursor::SegmentCursor(std::shared_ptr<const ContainerLog> log, const Position& from,
                             std::shared_ptr<const TextProbe> probe)
    : log_(std::move(log)), start_(from), probe_(std::move(probe)) {}

void SegmentCursor::Enter(ContainerLog::Extent extent, uint64_t offset) {
  extent_ = std::move(extent);
  scanner_.emplace(*extent_.file, std::max<uint64_t>(offset, kSegmentPrologueBytes), extent_.end);
  payload_end_ = extent_.payload_end;
  counted_to_ = scanner_->offset();
  payload_.reset();
  if (counted_to_ == kSegmentPrologueBytes) payload_ = Payload(extent_.file->header.before);
  ChooseFrames();
}

void SegmentCursor::ChooseFrames() {
  wanted_ = nullptr;
  wanted_to_ = 0;
  if (probe_ == nullptr || !extent_.file->sealed) return;
  const std::vector<SealedFrame>& frames = extent_.file->frames;
  stretches_ = ReadStretches(*extent_.file);
  if (stretches_.empty() || frames.empty() || frames.front().begin != 0) return;
  std::vector<bool> wanted(frames.size());
  for (size_t i = 0; i < stretches_.size(); ++i) {
    Stretch& stretch = stretches_[i];
    const size_t first = FrameAt(frames, stretch.begin);
    if (frames[first].begin != stretch.begin) return;
    const bool last = i + 1 == stretches_.size();
    const size_t behind = last ? frames.size() : FrameAt(frames, stretches_[i + 1].begin);
    if (stretch.MayHave(*probe_)) {
      std::fill(wanted.begin() + static_cast<ptrdiff_t>(first),
                wanted.begin() + static_cast<ptrdiff_t>(behind), true);
      // The stretch's last line ends in the next one.
      const bool goes_on = !last && (stretches_[i + 1].unterminated_before[0] ||
                                     stretches_[i + 1].unterminated_before[1]);
      if (goes_on) wanted[behind] = true;
    } else if (stretch.long_rest && wanted[first]) {
      std::fill(wanted.begin() + static_cast<ptrdiff_t>(first),
                wanted.begin() + static_cast<ptrdiff_t>(behind), true);
    }
    stretch.trigrams = std::string();
  }
  wanted_ = std::make_shared<const std::vector<bool>>(std::move(wanted));
  scanner_->set_choice(wanted_);
}

// Goes to the next frame that is wanted. False: it is there.
bool SegmentCursor::PassOver(LogItem& item) {
  const std::vector<SealedFrame>& frames = extent_.file->frames;
  const size_t here = FrameAt(frames, scanner_->offset());
  const auto wanted =
      std::find(wanted_->begin() + static_cast<ptrdiff_t>(here), wanted_->end(), true);
  const auto behind = std::find(wanted, wanted_->end(), false);
  const auto begin_of = [&](std::vector<bool>::const_iterator frame) {
    return frame == wanted_->end() ? extent_.end
                                   : frames[static_cast<size_t>(frame - wanted_->begin())].begin;
  };
  wanted_to_ = begin_of(behind);
  scanner_->set_end(wanted_to_);
  if (wanted != wanted_->end() && wanted - wanted_->begin() == static_cast<ptrdiff_t>(here)) {
    return false;
  }
  scanner_->SeekTo(begin_of(wanted));
  payload_.reset();
  spool_end_bytes_ = 0;
  item.passed_over = true;
  item.position = position();
  const auto next = std::find_if(stretches_.begin(), stretches_.end(), [&](const Stretch& each) {
    return each.begin >= scanner_->offset();
  });
  if (next != stretches_.end()) item.unterminated = next->unterminated_before;
  if (next != stretches_.begin()) item.record.time_unix_ns = std::prev(next)->last_time_unix_ns;
  return true;
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
  if (wanted_ != nullptr && scanner_->offset() >= wanted_to_ && PassOver(item)) return true;
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
