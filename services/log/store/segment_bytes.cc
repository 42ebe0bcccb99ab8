#include "services/log/store/segment_bytes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/unpack_ahead.h"

namespace slipway::log {
namespace {

absl::Status Shortened(uint64_t size, uint64_t end) {
  return absl::DataLossError(
      absl::StrCat("log segment ends at ", size, " instead of ", end, ": it was shortened"));
}

absl::Status LoadPlain(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                       ReadBuffer& buffer) {
  const size_t ahead = std::max(wanted, std::min(buffer.ahead, ReadBuffer::kBytes));
  if (buffer.bytes.size() < ahead) buffer.bytes.resize(ahead);
  const size_t most = static_cast<size_t>(std::min<uint64_t>(ahead, end - at));
  size_t size = 0;
  while (size < most) {
    const ssize_t n = pread(file.fd.get(), buffer.bytes.data() + size, most - size,
                            static_cast<off_t>(at + size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read log segment at ", at));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size < wanted) return Shortened(at + size, end);
  buffer.begin = at;
  buffer.size = size;
  return absl::OkStatus();
}

using Frames = std::vector<SealedFrame>;

// Frames from `first` on that are unpacked together.
size_t RangeEnd(const Frames& frames, size_t first, uint64_t needed, uint64_t end, size_t ahead) {
  size_t bytes = 0;
  size_t last = first;
  for (; last < frames.size() && frames[last].begin < end; ++last) {
    const bool enough = frames[last].begin >= needed;
    if (enough && bytes + frames[last].bytes > ahead) break;
    bytes += frames[last].bytes;
  }
  return last;
}

// Everything that is wanted is gone through: two threads unpack.
bool LoadFromAhead(const SegmentFile& file, size_t first, const FrameChoice& wanted,
                   ReadBuffer& buffer) {
  if (buffer.next != nullptr &&
      std::static_pointer_cast<UnpackAhead>(buffer.next)->Take(file, first, buffer)) {
    return true;
  }
  auto ahead = std::make_shared<UnpackAhead>(file.shared_from_this(), wanted, first, buffer.ahead);
  buffer.next = ahead;
  return ahead->Take(file, first, buffer);
}

absl::Status LoadSealed(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                        const FrameChoice& choice, ReadBuffer& buffer) {
  if (file.frames.empty() || at < file.frames.front().begin) return Shortened(0, end);
  const size_t first = FrameAt(file.frames, at);
  buffer.begin = file.frames[first].begin;
  if (buffer.parallel && LoadFromAhead(file, first, choice, buffer) &&
      buffer.begin + buffer.size >= at + wanted) {
    return absl::OkStatus();
  }
  buffer.next = nullptr;
  const size_t last = RangeEnd(file.frames, first, at + wanted, end, buffer.ahead);
  UnpackFrames(file, first, last, buffer.bytes, buffer.size);
  if (buffer.begin + buffer.size < at + wanted) {
    return Shortened(buffer.begin + buffer.size, end);
  }
  return absl::OkStatus();
}

}  // namespace

size_t FrameAt(const std::vector<SealedFrame>& frames, uint64_t at) {
  const auto above = std::upper_bound(
      frames.begin(), frames.end(), at,
      [](uint64_t offset, const SealedFrame& each) { return offset < each.begin; });
  return static_cast<size_t>(above - frames.begin()) - 1;
}

absl::Status LoadBytes(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                       const FrameChoice& choice, ReadBuffer& buffer) {
  buffer.owner = 0;
  if (file.sealed) return LoadSealed(file, at, wanted, end, choice, buffer);
  return LoadPlain(file, at, wanted, end, buffer);
}

absl::StatusOr<uint64_t> WrittenBytes(const SegmentFile& file, const std::string& path) {
  if (file.sealed) {
    return file.frames.empty() ? uint64_t{0} : file.frames.back().begin + file.frames.back().bytes;
  }
  struct stat st;
  if (fstat(file.fd.get(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace slipway::log
