#ifndef SERVICES_LOG_DOMAIN_LOG_READING_H_
#define SERVICES_LOG_DOMAIN_LOG_READING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/log/domain/entry_sink.h"
#include "services/log/domain/line_cutter.h"
#include "services/log/domain/reading.h"
#include "services/log/domain/search_sink.h"
#include "services/log/domain/tail.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

// A reader of one log.
class LogReading : public Reading {
 public:
  // Finds where to begin. InvalidArgument for a range that is empty or streams that are none.
  static absl::StatusOr<std::unique_ptr<LogReading>> Start(std::shared_ptr<ReadableLog> log,
                                                           const ReadOptions& options,
                                                           ReadBuffer& buffer);

  absl::StatusOr<Progress> Fill(ReadBuffer& buffer, size_t piece_bytes, EntrySink& sink) override;
  bool Wait(std::function<void()> wake) override;
  size_t held_bytes() const override;
  std::vector<Place> Places() const override;

 private:
  LogReading(std::shared_ptr<ReadableLog> log, const ReadOptions& options);
  absl::Status FindStart(const LogState& state, ReadBuffer& buffer);
  absl::Status SeekToTime();
  absl::StatusOr<Progress> AtEnd(EntrySink& sink);
  // True: the item is used up.
  bool Take(const LogItem& item, size_t piece_bytes, EntrySink& sink);
  bool TakeChunk(const LogItem& item, size_t piece_bytes, EntrySink& sink);
  void TakeGap(const LogItem& item, EntrySink& sink);
  bool Finished(const LogItem& item) const;
  size_t TakeLines(const Record& record, const Position& at, size_t piece_bytes, bool late,
                   EntrySink& sink);
  size_t Search(const Record& record, absl::string_view rest, const Position& at,
                size_t piece_bytes, EntrySink& sink);
  void BreakLines(StdStream stream, const Position& at, EntrySink& sink);
  bool Wanted(StdStream stream) const;

  const std::shared_ptr<ReadableLog> log_;
  const ReadOptions options_;
  StartPositions start_;
  Position stop_;  // without follow: what is appended later is not read
  std::unique_ptr<RecordCursor> cursor_;
  LineCutter lines_;
  std::unique_ptr<SearchSink> search_;
  // Where the line begins that each stream is in the middle of.
  std::array<Position, kStreams> line_begins_;
  size_t taken_ = 0;  // of the next item's data
  int64_t last_time_unix_ns_ = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_LOG_READING_H_
