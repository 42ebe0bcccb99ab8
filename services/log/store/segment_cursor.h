#ifndef SERVICES_LOG_STORE_SEGMENT_CURSOR_H_
#define SERVICES_LOG_STORE_SEGMENT_CURSOR_H_

#include <memory>
#include <optional>
#include <vector>

#include "services/log/ports/log_store.h"
#include "services/log/store/container_log.h"
#include "services/log/store/record_scanner.h"
#include "services/log/store/text_filter.h"

namespace slipway::log {

// Walks the segments of a log, over damage and over what retention has deleted. Keeps the log and
// the segment it is in open. Not thread-safe.
class SegmentCursor : public RecordCursor {
 public:
  SegmentCursor(std::shared_ptr<const ContainerLog> log, const Position& from,
                std::shared_ptr<const TextProbe> probe);

  absl::StatusOr<bool> Next(ReadBuffer& buffer, LogItem& item) override;
  void StepBack() override;
  Position position() const override;

 private:
  // Makes more of the log readable, in this segment or the next. False: there is no more for now.
  // Sets `lost_bytes` when segments in between are gone.
  absl::StatusOr<bool> Advance(uint64_t& lost_bytes);
  void Enter(ContainerLog::Extent extent, uint64_t offset);
  void Count(const RecordHeader& header, absl::string_view data);
  void ChooseFrames();
  bool PassOver(LogItem& item);

  const std::shared_ptr<const ContainerLog> log_;
  Position start_;
  ContainerLog::Extent extent_;
  std::optional<RecordScanner> scanner_;
  const std::shared_ptr<const TextProbe> probe_;
  // Of the segment, where the probe tells something: which frames are to be read.
  std::vector<Stretch> stretches_;
  FrameChoice wanted_;      // null: all
  uint64_t wanted_to_ = 0;  // everything up to here is
  // Where in the spool the last record's batch ended; zero: not known. The next segment begins
  // there, unless something is gone in between.
  uint64_t spool_end_bytes_ = 0;
  // How much containers had written, dropped bytes included, where the segment ends; zero: unknown.
  uint64_t payload_end_ = 0;
  // The same where the cursor is; nothing where it came into the segment somewhere in the middle,
  // or over damage. Records before the offset are counted.
  std::optional<uint64_t> payload_;
  uint64_t counted_to_ = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEGMENT_CURSOR_H_
