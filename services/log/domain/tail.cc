#include "services/log/domain/tail.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

using Wanted = std::array<bool, kStreams>;
using Ends = std::array<std::optional<Position>, kStreams>;

// Blocks from the last to the first, an index at a time.
class BackwardBlocks {
 public:
  BackwardBlocks(const ReadableLog& log, const Position& end)
      : log_(log), end_(end), segments_(log.Segments()) {}

  // Nothing at the beginning of the log.
  absl::StatusOr<std::optional<BlockSummary>> Next() {
    while (blocks_.empty()) {
      if (segments_.empty()) return std::optional<BlockSummary>();
      const uint64_t segment = segments_.back().segment;
      segments_.pop_back();
      if (segment > end_.segment) continue;
      ASSIGN_OR_RETURN(blocks_, log_.Blocks(segment));
      // What was appended after the moment that counts is left to follow.
      while (!blocks_.empty() && blocks_.back().begin >= end_) blocks_.pop_back();
    }
    const BlockSummary block = blocks_.back();
    blocks_.pop_back();
    return std::optional<BlockSummary>(block);
  }

 private:
  const ReadableLog& log_;
  const Position end_;
  std::vector<SegmentSummary> segments_;
  std::vector<BlockSummary> blocks_;
};

// Calls `visit(stream, position behind the line, streams in the middle of a line)` for each line
// that ends in the block, in order, until it returns false.
template <typename Visit>
absl::Status ForEachLineEnd(const ReadableLog& log, const BlockSummary& block, const Position& end,
                            ReadBuffer& buffer, Visit visit) {
  std::array<bool, kStreams> open = block.unterminated_before;
  const std::unique_ptr<RecordCursor> cursor = log.NewCursor(block.begin);
  buffer.Forget();
  LogItem item;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, cursor->Next(buffer, item));
    if (!more || item.position >= block.end || item.position >= end) return absl::OkStatus();
    if (item.lost_bytes != 0) continue;
    const Record& record = item.record;
    if (record.kind != RecordKind::kChunk) {
      for (const StdStream stream : {StdStream::kStdout, StdStream::kStderr}) {
        const bool ends = record.kind == RecordKind::kEnd || record.stream == StdStream::kNone ||
                          record.stream == stream;
        if (!ends || !std::exchange(open[StreamIndex(stream)], false)) continue;
        item.position.data_offset = Position::kAfterRecord;
        if (!visit(StreamIndex(stream), item.position, open)) return absl::OkStatus();
      }
      continue;
    }
    if (record.data.empty()) continue;
    size_t at = 0;
    while (const void* newline = memchr(record.data.data() + at, '\n', record.data.size() - at)) {
      at = static_cast<size_t>(static_cast<const char*>(newline) - record.data.data()) + 1;
      item.position.data_offset = static_cast<uint32_t>(at);
      open[StreamIndex(record.stream)] = false;
      if (!visit(StreamIndex(record.stream), item.position, open)) return absl::OkStatus();
      if (at == record.data.size()) break;
    }
    open[StreamIndex(record.stream)] = record.data.back() != '\n';
  }
}

uint64_t LineEnds(const BlockSummary& block, const Wanted& wanted) {
  uint64_t sum = 0;
  for (size_t stream = 0; stream < kStreams; ++stream) {
    if (wanted[stream]) sum += block.line_ends[stream];
  }
  return sum;
}

// The last line end of each stream in the block, among the first `most` of the wanted streams. A
// stream that is not in the middle of a line there has nothing earlier to show: it begins at the
// last of them too.
absl::StatusOr<Ends> LastEnds(const ReadableLog& log, const BlockSummary& block,
                              const Position& end, uint64_t most, const Wanted& wanted,
                              ReadBuffer& buffer) {
  Ends ends;
  uint64_t seen = 0;
  const auto visit = [&](size_t stream, const Position& position, const Wanted& open) {
    if (!wanted[stream]) return true;
    for (size_t each = 0; each < kStreams; ++each) {
      if (each == stream || !open[each]) ends[each] = position;
    }
    return ++seen < most;
  };
  RETURN_IF_ERROR(ForEachLineEnd(log, block, end, buffer, visit));
  return ends;
}

// Where a stream's line after its last one that is skipped begins, for those streams in `missing`.
absl::Status FindEarlier(const ReadableLog& log, BackwardBlocks& blocks, const Position& end,
                         Wanted missing, Ends& ends, ReadBuffer& buffer) {
  while (missing[0] || missing[1]) {
    ASSIGN_OR_RETURN(const std::optional<BlockSummary> block, blocks.Next());
    if (!block) return absl::OkStatus();
    if (LineEnds(*block, missing) == 0) continue;
    ASSIGN_OR_RETURN(const Ends found, LastEnds(log, *block, end, ~uint64_t{0}, missing, buffer));
    for (size_t stream = 0; stream < kStreams; ++stream) {
      if (!missing[stream] || !found[stream]) continue;
      ends[stream] = found[stream];
      missing[stream] = false;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StartPositions> FindTail(const ReadableLog& log, const LogState& state,
                                        uint64_t lines, const Wanted& wanted, ReadBuffer& buffer) {
  // Unterminated lines are the last to come out, stdout's before stderr's.
  Wanted kept_open = {};
  for (size_t stream = kStreams; stream-- > 0;) {
    if (!wanted[stream] || !state.unterminated[stream] || lines == 0) continue;
    kept_open[stream] = true;
    --lines;
  }
  Ends ends;
  Wanted missing = {};
  BackwardBlocks blocks(log, state.end);
  bool open_left_out = false;
  for (size_t stream = 0; stream < kStreams; ++stream) {
    const bool left_out = wanted[stream] && state.unterminated[stream] && !kept_open[stream];
    open_left_out = open_left_out || left_out;
    if (left_out) ends[stream] = state.end;
  }
  if (open_left_out) {
    // Every terminated line is left out too; of the kept open ones the beginning is wanted.
    for (size_t stream = 0; stream < kStreams; ++stream) {
      if (!kept_open[stream] && !ends[stream]) ends[stream] = state.end;
    }
    missing = kept_open;
  } else {
    // The line end before the last `lines` of them is the last one to leave out.
    uint64_t seen = 0;
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<BlockSummary> block, blocks.Next());
      if (!block) break;
      seen += LineEnds(*block, wanted);
      if (seen <= lines) continue;
      ASSIGN_OR_RETURN(ends, LastEnds(log, *block, state.end, seen - lines, wanted, buffer));
      for (size_t stream = 0; stream < kStreams; ++stream) {
        missing[stream] = wanted[stream] && !ends[stream];
      }
      break;
    }
  }
  RETURN_IF_ERROR(FindEarlier(log, blocks, state.end, missing, ends, buffer));
  StartPositions start{.begin = state.end};
  for (size_t stream = 0; stream < kStreams; ++stream) {
    start.streams[stream] = ends[stream].value_or(state.begin);
    if (wanted[stream]) start.begin = std::min(start.begin, start.streams[stream]);
  }
  // A cursor begins at a record.
  start.begin.data_offset = 0;
  return start;
}

}  // namespace slipway::log
