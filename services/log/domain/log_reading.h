#ifndef SERVICES_LOG_DOMAIN_LOG_READING_H_
#define SERVICES_LOG_DOMAIN_LOG_READING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/log/domain/entry_sink.h"
#include "services/log/domain/line_cutter.h"
#include "services/log/domain/tail.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

struct ReadOptions {
  std::array<bool, kStreams> streams = {true, true};
  int64_t since_unix_ns = 0;           // inclusive; zero: from the beginning
  int64_t until_unix_ns = 0;           // inclusive; zero: no end
  std::optional<uint64_t> tail_lines;  // taken from the end of the log before since and until
  bool follow = false;
  bool lines = false;
};

// One reader on its way through a log. Holds no memory in proportion to the log: what a reader has
// not taken stays on disk. Not thread-safe.
class LogReading {
 public:
  enum class Progress {
    kMore,  // the sink is full, or it is time to let others read
    kWait,  // nothing more for now; see Wait
    kDone,
  };

  // Finds where to begin. InvalidArgument for a range that is empty or streams that are none.
  static absl::StatusOr<std::unique_ptr<LogReading>> Start(std::shared_ptr<ReadableLog> log,
                                                           const ReadOptions& options,
                                                           ReadBuffer& buffer);

  // Fills the sink. `piece_bytes` is the longest line, or piece of one, in an entry.
  // DataLoss and Internal when the disk cannot be read.
  absl::StatusOr<Progress> Fill(ReadBuffer& buffer, size_t piece_bytes, EntrySink& sink);

  // Memory that unfinished lines take.
  size_t held_bytes() const { return lines_.held_bytes(); }

  // After kWait. See ReadableLog::WaitBeyond.
  bool Wait(std::function<void()> wake);

 private:
  LogReading(std::shared_ptr<ReadableLog> log, const ReadOptions& options);
  absl::Status SeekToTime();
  absl::StatusOr<Progress> AtEnd(EntrySink& sink);
  // True: the item is used up.
  bool Take(const LogItem& item, size_t piece_bytes, EntrySink& sink);
  bool TakeChunk(const LogItem& item, size_t piece_bytes, EntrySink& sink);
  void TakeGap(const LogItem& item, EntrySink& sink);
  bool Finished(const LogItem& item) const;
  void BreakLines(StdStream stream, EntrySink& sink);
  bool Wanted(StdStream stream) const;

  const std::shared_ptr<ReadableLog> log_;
  const ReadOptions options_;
  StartPositions start_;
  Position stop_;  // without follow: what is appended later is not read
  std::unique_ptr<RecordCursor> cursor_;
  LineCutter lines_;
  size_t taken_ = 0;  // of the next item's data
  int64_t last_time_unix_ns_ = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_LOG_READING_H_
