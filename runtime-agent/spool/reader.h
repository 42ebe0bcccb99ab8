#ifndef RUNTIME_AGENT_SPOOL_READER_H_
#define RUNTIME_AGENT_SPOOL_READER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/spool/format.h"

// Reading the log spool that the supervisor writes (docs/spool-format.md).
namespace slipway::agent {

struct SpoolRecord {
  SpoolRecordType type = SpoolRecordType::kStdout;
  uint8_t stream = 0;  // 1 stdout, 2 stderr
  uint16_t flags = 0;  // SpoolRecordFlags
  uint64_t time_ns = 0;
  uint64_t offset = 0;       // of the header in the file
  uint64_t next_offset = 0;  // of the record behind it
  std::string data;          // of kStdout and kStderr
  SpoolGap gap = {};         // of kGap
};

// Iterates the records of one spool. Does not own the descriptor, does not move its file offset.
// Not thread-safe; several readers of one file do not disturb each other.
class SpoolReader {
 public:
  // `offset` must be the start of a record.
  SpoolReader(int fd, uint64_t offset) : fd_(fd), offset_(offset) {}

  // The next record that ends at or before `committed` (the published offset), nothing when there
  // is none yet. DataLoss names the offset of bytes that are no record; OutOfRange when they were
  // trimmed away before (a hole).
  absl::StatusOr<std::optional<SpoolRecord>> Next(uint64_t committed);

  uint64_t offset() const { return offset_; }

 private:
  int fd_;
  uint64_t offset_;
};

// Gives the disk blocks of [0, offset) back; the file keeps its size and its offsets. Cheap to call
// with a growing offset: whole blocks from `from` (the previous trim, or 0) on are punched.
absl::Status TrimSpool(int fd, uint64_t from, uint64_t offset);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SPOOL_READER_H_
