#ifndef SERVICES_LOG_STORE_SEGMENT_BYTES_H_
#define SERVICES_LOG_STORE_SEGMENT_BYTES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/segment_format.h"

namespace slipway::log {

// One zstd frame of a sealed segment. It begins and ends where a block does.
struct SealedFrame {
  uint64_t file_offset = 0;
  uint32_t file_bytes = 0;
  uint64_t begin = 0;  // in the segment as it was written
  uint32_t bytes = 0;
};

// An open segment, as it is written or sealed: offsets are always those of the bytes as they were
// written. pread(2) on one descriptor serves any number of readers. Thread-safe.
struct SegmentFile : std::enable_shared_from_this<SegmentFile> {
  UniqueFd fd;
  SegmentHeader header;
  bool sealed = false;
  std::vector<SealedFrame> frames;  // of a sealed one, in order
  SealedFrame stretches;            // of a sealed one; no bytes when it has none
};

// The frame that has the byte, or the last one; `at` is not before the first.
size_t FrameAt(const std::vector<SealedFrame>& frames, uint64_t at);

// Of each frame of a sealed segment, whether a reader will ask for it; null: of all.
using FrameChoice = std::shared_ptr<const std::vector<bool>>;

// Brings the bytes [at, at + wanted) into the buffer, and what comes cheaply with them before
// `end`. DataLoss when the file has less. A frame that is damaged reads as zeros, in which nothing
// looks like a record.
absl::Status LoadBytes(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                       const FrameChoice& choice, ReadBuffer& buffer);

// How long the segment is as it was written.
absl::StatusOr<uint64_t> WrittenBytes(const SegmentFile& file, const std::string& path);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEGMENT_BYTES_H_
