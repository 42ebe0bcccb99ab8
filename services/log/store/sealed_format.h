#ifndef SERVICES_LOG_STORE_SEALED_FORMAT_H_
#define SERVICES_LOG_STORE_SEALED_FORMAT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/store/segment_bytes.h"
#include "services/log/store/text_filter.h"

// The bytes of a sealed segment: the segment as it was written, in zstd frames that can be read one
// by one, with a table of them at the end (the seekable format of zstd's contrib directory), as
// docs/log-format.md describes them. `zstd -d` gives the segment back. Pure but for the
// descriptors; thread-safe.
namespace slipway::log {

// A frame has at least so many bytes of the segment, but for the last one.
inline constexpr uint64_t kFrameBytes = 128 << 10;
// More cannot be a frame that this service made.
inline constexpr uint32_t kMostFrameBytes = 1 << 20;

// Compresses `size` bytes of `file`. `ends` are where blocks end; the last is `size`. The result is
// how many bytes were written to `out`.
absl::StatusOr<uint64_t> WriteSealed(const SegmentFile& file, const std::vector<uint64_t>& ends,
                                     int out);

// The frames, from the table or, when that is damaged, from the frames themselves; the copy of the
// segment's prologue, empty when it is damaged; and where stretches are written down, if they are.
struct SealedContents {
  std::vector<SealedFrame> frames;
  std::string prologue;
  SealedFrame stretches;
};
absl::StatusOr<SealedContents> ReadSealed(int fd, const std::string& path);

// None when they were not written down (by a version before them), or are damaged.
std::vector<Stretch> ReadStretches(const SegmentFile& file);

// Fills `out` with the frame's bytes. False: it is damaged, or cannot be read.
bool ReadFrame(int fd, const SealedFrame& frame, char* out);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEALED_FORMAT_H_
