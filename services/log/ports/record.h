#ifndef SERVICES_LOG_PORTS_RECORD_H_
#define SERVICES_LOG_PORTS_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

// What a log is made of. Plain data.
namespace slipway::log {

enum class StdStream : uint8_t { kNone = 0, kStdout = 1, kStderr = 2 };

enum class RecordKind : uint8_t {
  kChunk = 1,  // bytes that a container wrote
  kGap = 2,    // bytes that were not kept
  kEnd = 3,    // the container's process ended
};

struct Record {
  int64_t time_unix_ns = 0;
  RecordKind kind = RecordKind::kChunk;
  // Of a chunk: stdout or stderr. Of a gap: kNone when it may concern both.
  StdStream stream = StdStream::kNone;
  // Belongs to somebody else, who says for how long.
  absl::string_view data;
  uint64_t dropped_bytes = 0;
  // Where the record ends in the spool that it comes from; zero: unknown.
  uint64_t spool_end_bytes = 0;
};

// Records that lie at [begin, end) of a container's spool and become durable together.
struct Batch {
  uint64_t begin_offset_bytes = 0;
  uint64_t end_offset_bytes = 0;
  std::vector<Record> records;
};

// 0 for stdout, 1 for stderr.
inline constexpr size_t kStreams = 2;
inline constexpr size_t StreamIndex(StdStream stream) {
  return stream == StdStream::kStderr ? 1 : 0;
}

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_RECORD_H_
