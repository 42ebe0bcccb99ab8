#include "services/log/domain/count.h"

#include <utility>

#include "base/status/status_macros.h"
#include "services/log/domain/log_reading.h"

namespace slipway::log {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

class Counter : public EntrySink {
 public:
  void Add(const Entry& entry) override {
    count.dropped_bytes += entry.dropped_bytes;
    count.bytes += entry.data.size();
    if (!entry.continued && entry.dropped_bytes == 0) ++count.lines;
  }
  bool Full() const override { return false; }

  LineCount count;
};

}  // namespace

absl::StatusOr<LineCount> CountEntries(std::shared_ptr<ReadableLog> log, const ReadOptions& options,
                                       const std::function<bool()>& cancelled, ReadBuffer& buffer) {
  ReadOptions wanted = options;
  wanted.lines = true;
  wanted.follow = false;
  ASSIGN_OR_RETURN(const std::unique_ptr<LogReading> reading,
                   LogReading::Start(std::move(log), wanted, buffer));
  Counter counter;
  while (true) {
    if (cancelled()) return absl::CancelledError("nobody wants the count any more");
    ASSIGN_OR_RETURN(const Reading::Progress progress, reading->Fill(buffer, kPieceBytes, counter));
    if (progress != Reading::Progress::kMore) return counter.count;
  }
}

absl::StatusOr<std::array<uint64_t, kStreams>> CountKeptLines(const ReadableLog& log) {
  std::array<uint64_t, kStreams> lines = {};
  for (const SegmentSummary& segment : log.Segments()) {
    ASSIGN_OR_RETURN(const std::vector<BlockSummary> blocks, log.Blocks(segment.segment));
    for (const BlockSummary& block : blocks) {
      for (size_t stream = 0; stream < kStreams; ++stream) lines[stream] += block.line_ends[stream];
    }
  }
  const LogState state = log.State();
  for (size_t stream = 0; stream < kStreams; ++stream) {
    if (state.unterminated[stream]) ++lines[stream];
  }
  return lines;
}

}  // namespace slipway::log
