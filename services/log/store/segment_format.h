#ifndef SERVICES_LOG_STORE_SEGMENT_FORMAT_H_
#define SERVICES_LOG_STORE_SEGMENT_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/ports/record.h"

// The bytes of a segment and of its index, as docs/log-format.md describes them. Pure functions;
// thread-safe.
namespace slipway::log {

inline constexpr size_t kSegmentHeaderBytes = 128;
// The header is there twice, so that one damaged byte cannot cost a segment.
inline constexpr size_t kSegmentPrologueBytes = 2 * kSegmentHeaderBytes;
inline constexpr size_t kRecordHeaderBytes = 40;
inline constexpr size_t kIndexHeaderBytes = 16;
inline constexpr size_t kIndexEntryBytes = 88;
// Longer chunks are stored as several records.
inline constexpr size_t kMaxRecordDataBytes = 64 << 10;
inline constexpr uint64_t kBlockBytes = 64 << 10;

// What is known of a log up to some record.
struct RunningState {
  uint64_t stdout_bytes = 0;
  uint64_t stderr_bytes = 0;
  uint64_t records = 0;
  uint64_t dropped_bytes = 0;
  int64_t max_time_unix_ns = std::numeric_limits<int64_t>::min();
  uint64_t spool_end_bytes = 0;  // everything before it is stored
  std::array<bool, kStreams> unterminated = {};
  bool ended = false;  // the last record is the end of a run

  bool operator==(const RunningState&) const = default;
};

// How much containers wrote, what was dropped included.
inline uint64_t Payload(const RunningState& state) {
  return state.stdout_bytes + state.stderr_bytes + state.dropped_bytes;
}

struct SegmentHeader {
  uint64_t first_offset_bytes = 0;
  int64_t created_unix_ns = 0;
  // Random; part of every checksum, so that what a container prints can never pass for a record.
  uint64_t salt = 0;
  RunningState before;
};

struct RecordHeader {
  uint32_t data_bytes = 0;
  uint32_t data_crc = 0;
  RecordKind kind = RecordKind::kChunk;
  StdStream stream = StdStream::kNone;
  bool first_of_batch = false;
  bool last_of_batch = false;
  int64_t time_unix_ns = 0;
  uint64_t spool_end_bytes = 0;  // of the batch
};

// An index entry: one block of records.
struct Block {
  uint64_t begin = 0;  // file offsets
  uint64_t end = 0;
  bool starts_batch = false;
  std::array<bool, kStreams> unterminated_before = {};
  std::array<uint32_t, kStreams> line_ends = {};
  RunningState after;
};

std::string EncodeSegmentPrologue(const SegmentHeader& header);
// DataLoss when neither copy is good.
absl::StatusOr<SegmentHeader> DecodeSegmentPrologue(absl::string_view bytes);

// Writes kRecordHeaderBytes.
void EncodeRecordHeader(const RecordHeader& header, uint64_t salt, char* out);
// Nothing when the kRecordHeaderBytes at `bytes` are not a header.
std::optional<RecordHeader> DecodeRecordHeader(const char* bytes, uint64_t salt);
// The first four bytes of every record.
absl::string_view RecordMagic();

// A gap's data: how many bytes were dropped.
std::string EncodeGapData(uint64_t dropped_bytes);
uint64_t DecodeGapData(absl::string_view data);

std::string EncodeIndexHeader(uint64_t salt);
bool IsIndexHeader(absl::string_view bytes, uint64_t salt);
std::string EncodeIndexEntry(const Block& block, uint64_t salt);
std::optional<Block> DecodeIndexEntry(absl::string_view bytes, uint64_t salt);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEGMENT_FORMAT_H_
