#include "services/log/domain/log_reading.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

constexpr std::array<StdStream, kStreams> kBoth = {StdStream::kStdout, StdStream::kStderr};

// A reader that wants little of much gives others a turn.
constexpr size_t kMostScanned = 4 << 20;
constexpr size_t kMostSearched = 64 << 20;
constexpr size_t kSearchAhead = 1 << 20;

}  // namespace

LogReading::LogReading(std::shared_ptr<ReadableLog> log, const ReadOptions& options)
    : log_(std::move(log)),
      options_(options),
      lines_(options.resume.has_value() ? 0 : options.since_unix_ns) {
  if (options_.matcher != nullptr) search_ = std::make_unique<SearchSink>(options_.matcher);
}

absl::StatusOr<std::unique_ptr<LogReading>> LogReading::Start(std::shared_ptr<ReadableLog> log,
                                                              const ReadOptions& options,
                                                              ReadBuffer& buffer) {
  if (!options.streams[0] && !options.streams[1]) {
    return absl::InvalidArgumentError("neither stdout nor stderr is asked for");
  }
  if (options.until_unix_ns != 0 && options.until_unix_ns < options.since_unix_ns) {
    return absl::InvalidArgumentError(absl::StrCat(
        "until (", options.until_unix_ns, ") is before since (", options.since_unix_ns, ")"));
  }
  std::unique_ptr<LogReading> reading(new LogReading(std::move(log), options));
  const LogState state = reading->log_->State();
  RETURN_IF_ERROR(reading->FindStart(state, buffer));
  reading->cursor_ = reading->log_->NewCursor(
      reading->start_.begin, options.matcher != nullptr ? options.matcher->probe() : nullptr);
  return reading;
}

absl::Status LogReading::FindStart(const LogState& state, ReadBuffer& buffer) {
  stop_ = state.end;
  start_ = {.begin = state.begin, .streams = {state.begin, state.begin}};
  if (options_.resume.has_value()) {
    start_.streams = options_.resume->streams;
    start_.begin = std::min(start_.streams[0], start_.streams[1]);
    start_.begin.data_offset = 0;
    return absl::OkStatus();
  }
  if (options_.tail_lines) {
    ASSIGN_OR_RETURN(start_,
                     FindTail(*log_, state, *options_.tail_lines, options_.streams, buffer));
  }
  return options_.since_unix_ns > 0 ? SeekToTime() : absl::OkStatus();
}

// The clock may have gone back: the maximum up to each block only grows, and a block that it does
// not bring to `since` has nothing for this reader.
absl::Status LogReading::SeekToTime() {
  const int64_t since = options_.since_unix_ns;
  const std::vector<SegmentSummary> segments = log_->Segments();
  auto segment = std::partition_point(
      segments.begin(), segments.end(),
      [&](const SegmentSummary& each) { return each.max_time_before_unix_ns < since; });
  // The segment before it is the one in which the time is reached.
  if (segment != segments.begin()) --segment;
  for (; segment != segments.end(); ++segment) {
    ASSIGN_OR_RETURN(const std::vector<BlockSummary> blocks, log_->Blocks(segment->segment));
    const auto block = std::partition_point(
        blocks.begin(), blocks.end(),
        [&](const BlockSummary& each) { return each.max_time_unix_ns < since; });
    if (block == blocks.end()) continue;
    if (block->begin <= start_.begin) return absl::OkStatus();
    start_.begin = block->begin;
    for (const StdStream stream : kBoth) {
      const size_t index = StreamIndex(stream);
      // A line that begins before the block is too early.
      if (block->unterminated_before[index] && start_.streams[index] < block->begin) {
        lines_.LeaveOutRest(stream);
      }
    }
    return absl::OkStatus();
  }
  const LogState state = log_->State();
  start_.begin = std::max(start_.begin, stop_);
  for (const StdStream stream : kBoth) {
    if (state.end == stop_ && state.unterminated[StreamIndex(stream)]) {
      lines_.LeaveOutRest(stream);
    }
  }
  return absl::OkStatus();
}

bool LogReading::Wanted(StdStream stream) const { return options_.streams[StreamIndex(stream)]; }

absl::StatusOr<Reading::Progress> LogReading::Fill(ReadBuffer& buffer, size_t piece_bytes,
                                                   EntrySink& target) {
  if (search_ != nullptr) search_->SetTarget(&target);
  EntrySink& sink = search_ != nullptr ? *search_ : target;
  // What goes through everything reads far ahead, and by two.
  const size_t ahead = buffer.ahead;
  const absl::Cleanup restore = [&] {
    buffer.ahead = ahead;
    buffer.parallel = false;
    buffer.next = nullptr;
  };
  if (search_ != nullptr) {
    buffer.ahead = std::max(buffer.ahead, kSearchAhead);
    buffer.parallel = true;
  } else {
    buffer.Forget();
  }
  const size_t most = search_ != nullptr ? kMostSearched : kMostScanned;
  LogItem item;
  size_t scanned = 0;
  while (!sink.Full() && scanned < most) {
    ASSIGN_OR_RETURN(const bool more, cursor_->Next(buffer, item));
    if (!more || (!options_.follow && item.position >= stop_)) return AtEnd(sink);
    if (Finished(item)) {
      for (const StdStream stream : kBoth) BreakLines(stream, item.position, sink);
      return Progress::kDone;
    }
    if (!Take(item, piece_bytes, sink)) {
      cursor_->StepBack();
      return Progress::kMore;
    }
    scanned += item.passed_over ? kSearchAhead : item.record.data.size();
  }
  return Progress::kMore;
}

// A line that began in time is given whole, however late it ends.
bool LogReading::Finished(const LogItem& item) const {
  if (options_.until_unix_ns == 0 || item.lost_bytes != 0 ||
      item.record.time_unix_ns <= options_.until_unix_ns) {
    return false;
  }
  return !lines_.Open(StdStream::kStdout) && !lines_.Open(StdStream::kStderr);
}

bool LogReading::Take(const LogItem& item, size_t piece_bytes, EntrySink& sink) {
  if (item.record.time_unix_ns != 0) last_time_unix_ns_ = item.record.time_unix_ns;
  if (item.passed_over) {
    taken_ = 0;
    for (const StdStream stream : kBoth) {
      lines_.Forget(stream);
      if (item.unterminated[StreamIndex(stream)]) lines_.LeaveOutRest(stream);
    }
    return true;
  }
  if (item.lost_bytes != 0 || item.record.kind == RecordKind::kGap) {
    TakeGap(item, sink);
    return true;
  }
  if (item.record.kind == RecordKind::kEnd) {
    for (const StdStream stream : kBoth) BreakLines(stream, item.position, sink);
    return true;
  }
  return TakeChunk(item, piece_bytes, sink);
}

bool LogReading::TakeChunk(const LogItem& item, size_t piece_bytes, EntrySink& sink) {
  const Record& record = item.record;
  if (!Wanted(record.stream)) return true;
  const Position& start = start_.streams[StreamIndex(record.stream)];
  if (item.position < start) {
    const bool inside =
        start.segment == item.position.segment && start.offset == item.position.offset;
    const size_t skipped = inside ? start.data_offset : record.data.size();
    taken_ = std::max(taken_, std::min(skipped, record.data.size()));
  }
  const bool late = options_.until_unix_ns != 0 && record.time_unix_ns > options_.until_unix_ns;
  const absl::string_view rest = record.data.substr(taken_);
  size_t taken = rest.size();
  Position at = item.position;
  at.data_offset = static_cast<uint32_t>(taken_);
  if (options_.lines || search_ != nullptr) {
    if (late && !lines_.Open(record.stream)) {
      taken_ = 0;
      return true;
    }
    taken = TakeLines(record, at, piece_bytes, late, sink);
  } else if (!rest.empty() && record.time_unix_ns >= options_.since_unix_ns) {
    taken = std::min(rest.size(), piece_bytes);
    at.data_offset += static_cast<uint32_t>(taken);
    sink.Add({.time_unix_ns = record.time_unix_ns,
              .stream = record.stream,
              .data = rest.substr(0, taken),
              .end = at});
  }
  taken_ += taken;
  if (taken_ < record.data.size()) return false;
  taken_ = 0;
  return true;
}

// Of the record's data from `at` on. How many bytes were taken.
size_t LogReading::TakeLines(const Record& record, const Position& at, size_t piece_bytes,
                             bool late, EntrySink& sink) {
  const absl::string_view rest = record.data.substr(at.data_offset);
  const bool fast = search_ != nullptr && options_.matcher->plain() && !late;
  size_t taken = 0;
  // A line that goes on from an earlier record, or anything where there is no faster way.
  if (!fast || lines_.InLine(record.stream)) {
    taken =
        lines_.Feed(record.stream, record.time_unix_ns, rest, piece_bytes, late || fast, sink, at);
  }
  if (fast && !lines_.InLine(record.stream) && taken < rest.size() && !sink.Full()) {
    Position from = at;
    from.data_offset += static_cast<uint32_t>(taken);
    taken += Search(record, rest.substr(taken), from, piece_bytes, sink);
  }
  if (lines_.InLine(record.stream)) {
    const size_t held = lines_.HeldBytes(record.stream);
    if (held <= taken) {
      Position& begin = line_begins_[StreamIndex(record.stream)] = at;
      begin.data_offset += static_cast<uint32_t>(taken - held);
    }
  }
  // Of a late chunk only the end of the open line is wanted.
  if (late && !lines_.Open(record.stream)) taken = rest.size();
  return taken;
}

// Looks for whole lines where they lie; only what a match needs is ever cut out.
size_t LogReading::Search(const Record& record, absl::string_view rest, const Position& at,
                          size_t piece_bytes, EntrySink& sink) {
  const size_t newline = rest.rfind('\n');
  const absl::string_view whole =
      rest.substr(0, newline == absl::string_view::npos ? 0 : newline + 1);
  size_t taken = 0;
  const bool wanted = options_.resume.has_value() || record.time_unix_ns >= options_.since_unix_ns;
  while (wanted && taken < whole.size()) {
    if (sink.Full()) return taken;
    const auto found = options_.matcher->Find(whole, taken);
    if (!found) break;
    taken = found->end;
    Position end = at;
    end.data_offset += static_cast<uint32_t>(taken);
    sink.Add({.time_unix_ns = record.time_unix_ns,
              .stream = record.stream,
              .data = whole.substr(found->begin, found->end - found->begin),
              .end = end});
  }
  Position from = at;
  from.data_offset += static_cast<uint32_t>(whole.size());
  return whole.size() + lines_.Feed(record.stream, record.time_unix_ns, rest.substr(whole.size()),
                                    piece_bytes, true, sink, from);
}

void LogReading::TakeGap(const LogItem& item, EntrySink& sink) {
  const Record& record = item.record;
  taken_ = 0;
  for (const StdStream stream : kBoth) {
    if (record.stream == StdStream::kNone || record.stream == stream) {
      BreakLines(stream, item.position, sink);
    }
  }
  const uint64_t dropped = item.lost_bytes != 0 ? item.lost_bytes : record.dropped_bytes;
  if (dropped == 0 || last_time_unix_ns_ < options_.since_unix_ns) return;
  if (options_.until_unix_ns != 0 && last_time_unix_ns_ > options_.until_unix_ns) return;
  if (record.stream != StdStream::kNone && !Wanted(record.stream)) return;
  // The beginnings of the streams differ: a gap counts from the later one.
  if (item.position < std::max(options_.streams[0] ? start_.streams[0] : start_.begin,
                               options_.streams[1] ? start_.streams[1] : start_.begin)) {
    return;
  }
  Position end = item.position;
  if (!item.deleted) end.data_offset = Position::kAfterRecord;
  sink.Add({.time_unix_ns = last_time_unix_ns_,
            .stream = record.stream,
            .dropped_bytes = dropped,
            .end = end});
}

void LogReading::BreakLines(StdStream stream, const Position& at, EntrySink& sink) {
  if (options_.lines || search_ != nullptr) lines_.Break(stream, sink, at);
}

size_t LogReading::held_bytes() const {
  return lines_.held_bytes() + (search_ != nullptr ? search_->held_bytes() : 0);
}

std::vector<Place> LogReading::Places() const {
  // A record that was taken in part is the next one again.
  Position here = cursor_->position();
  if (taken_ > 0) here.data_offset = static_cast<uint32_t>(taken_);
  Place place{.container_id = options_.container_id};
  for (const StdStream stream : kBoth) {
    const size_t index = StreamIndex(stream);
    const bool inside = lines_.Open(stream) && lines_.HeldBytes(stream) > 0;
    place.streams[index] = std::max(start_.streams[index], inside ? line_begins_[index] : here);
  }
  return {std::move(place)};
}

absl::StatusOr<Reading::Progress> LogReading::AtEnd(EntrySink& sink) {
  const LogState state = log_->State();
  const bool seen_all = cursor_->position() >= state.end;
  const bool late =
      options_.until_unix_ns != 0 && absl::GetCurrentTimeNanos() > options_.until_unix_ns;
  if (!options_.follow || state.deleted ||
      (seen_all && ((state.ended && !options_.beyond_end) || late))) {
    for (const StdStream stream : kBoth) BreakLines(stream, cursor_->position(), sink);
    return Progress::kDone;
  }
  return Progress::kWait;
}

bool LogReading::Wait(std::function<void()> wake) {
  return log_->WaitBeyond(cursor_->position(), options_.until_unix_ns, std::move(wake));
}

}  // namespace slipway::log
