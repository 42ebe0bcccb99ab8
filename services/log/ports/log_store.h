#ifndef SERVICES_LOG_PORTS_LOG_STORE_H_
#define SERVICES_LOG_PORTS_LOG_STORE_H_

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/log/ports/container_id.h"
#include "services/log/ports/description.h"
#include "services/log/ports/record.h"
#include "services/log/ports/text_probe.h"

// Where records are kept, as the rest of the service sees it.
namespace slipway::log {

// A place in one container's log. Positions are ordered as the log is.
struct Position {
  uint64_t segment = 0;      // which segment, by the spool offset where it begins
  uint64_t offset = 0;       // of a record in the segment
  uint32_t data_offset = 0;  // in the record's data; kAfterRecord: behind everything in it

  static constexpr uint32_t kAfterRecord = std::numeric_limits<uint32_t>::max();
  auto operator<=>(const Position&) const = default;
};

struct LogStats {
  uint64_t stdout_bytes = 0;
  uint64_t stderr_bytes = 0;
  uint64_t records = 0;
  uint64_t dropped_bytes = 0;
  uint64_t stored_bytes = 0;
  // Of what is kept: retention and truncation take away from the front.
  uint64_t kept_payload_bytes = 0;
  int64_t last_unix_ns = 0;
};

// A log as it is at one moment.
struct LogState {
  Position begin;
  Position end;
  std::array<bool, kStreams> unterminated = {};  // the stream's last line has no newline yet
  bool ended = false;                            // the last record is an end
  bool deleted = false;
};

struct SegmentSummary {
  uint64_t segment = 0;
  int64_t max_time_before_unix_ns = 0;  // of everything in earlier segments
};

// A stretch of some 64 KiB of records. A line ends at its newline, and an unterminated one at a gap
// of its stream and at the end of a run.
struct BlockSummary {
  Position begin;
  Position end;
  int64_t max_time_unix_ns = 0;  // of everything up to the end of this block
  std::array<uint64_t, kStreams> line_ends = {};
  std::array<bool, kStreams> unterminated_before = {};
};

// Memory that a cursor reads through. Lend it to one cursor at a time, Forget() in between.
struct ReadBuffer {
  static constexpr size_t kBytes = 256 << 10;
  void Forget() { owner = 0; }

  // How much is read at once; less where many logs are read in turns.
  size_t ahead = kBytes;
  // What comes next is unpacked by another thread meanwhile, for who goes through everything.
  bool parallel = false;
  std::shared_ptr<void> next;  // of the store
  std::vector<char> bytes;
  uint64_t owner = 0;
  uint64_t begin = 0;
  size_t size = 0;
};

// What a cursor finds: a record, or that bytes are gone (damaged on disk, or deleted by retention
// while the cursor was on its way).
struct LogItem {
  Position position;
  Record record;  // data lives until the cursor is used again
  uint64_t lost_bytes = 0;
  bool deleted = false;  // they lay before `position`, where a good record follows
  // Records before `position` were passed over, the last of them of the record's time: the cursor's
  // probe finds nothing in them.
  bool passed_over = false;
  std::array<bool, kStreams> unterminated = {};  // is the stream in the middle of a line there
};

// Walks a log forward. Not thread-safe.
class RecordCursor {
 public:
  virtual ~RecordCursor() = default;
  // False when there is nothing more for now.
  virtual absl::StatusOr<bool> Next(ReadBuffer& buffer, LogItem& item) = 0;
  // Makes the last item the next one again.
  virtual void StepBack() = 0;
  // Of the next item.
  virtual Position position() const = 0;
};

// One container's log for readers. Thread-safe.
class ReadableLog {
 public:
  virtual ~ReadableLog() = default;
  virtual LogState State() const = 0;
  virtual std::vector<SegmentSummary> Segments() const = 0;
  // In order. Empty for a segment that is gone.
  virtual absl::StatusOr<std::vector<BlockSummary>> Blocks(uint64_t segment) const = 0;
  // With a probe, lines that it finds nothing in may be passed over, whole or in part.
  virtual std::unique_ptr<RecordCursor> NewCursor(
      const Position& from, std::shared_ptr<const TextProbe> probe = nullptr) const = 0;

  // Calls `wake` once, from any thread, when there is something after `seen`, the log is deleted or
  // `deadline_unix_ns` (zero: none) has passed by a second or so. False, and no call: that is so
  // already.
  virtual bool WaitBeyond(const Position& seen, int64_t deadline_unix_ns,
                          std::function<void()> wake) = 0;
};

// How far an outlet has come.
struct OutletPosition {
  std::array<Position, kStreams> streams;
  std::string state;  // the outlet's own
  uint64_t sent_entries = 0;
  uint64_t sent_bytes = 0;
  uint64_t dropped_bytes = 0;
};

// All logs. Thread-safe.
class LogStore {
 public:
  virtual ~LogStore() = default;
  // Stores what was not stored before and returns the offset before which everything is.
  // FailedPrecondition for a batch of which a part is stored and whose records do not say where
  // they lie; ResourceExhausted for a full disk, and nothing is stored then.
  virtual absl::StatusOr<uint64_t> Append(const ContainerId& id, const Batch& batch) = 0;
  // NotFound for a container that nothing was appended for.
  virtual absl::StatusOr<uint64_t> AcknowledgedOffset(const ContainerId& id) = 0;
  virtual absl::StatusOr<LogStats> Stats(const ContainerId& id) = 0;
  virtual absl::StatusOr<std::shared_ptr<ReadableLog>> Open(const ContainerId& id) = 0;
  // Readers of the log end. OK when there is none.
  virtual absl::Status Delete(const ContainerId& id) = 0;
  // Deletes what is stored up to now. How many bytes that gave back on the disk.
  virtual absl::StatusOr<uint64_t> Truncate(const ContainerId& id) = 0;

  // Makes the log known, with what it is of.
  virtual absl::Status Describe(const ContainerId& id, const LogDescription& description) = 0;
  // Every log, in no order, as of the version that is given back too.
  virtual std::vector<DescribedLog> List(uint64_t* version = nullptr) const = 0;
  // Calls `wake` once, from any thread, when logs came into being or were described anew or deleted
  // after `version`. False, and no call: that is so already.
  virtual bool WaitForChange(uint64_t version, std::function<void()> wake) = 0;

  // NotFound when none was saved.
  virtual absl::StatusOr<OutletPosition> LoadOutlet(const ContainerId& id) = 0;
  virtual absl::Status SaveOutlet(const ContainerId& id, const OutletPosition& position) = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_LOG_STORE_H_
