#include "services/log/store/segment_bytes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/sealed_format.h"

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

void Unpack(const SegmentFile& file, size_t first, size_t last, std::vector<char>& bytes,
            size_t& size) {
  size = 0;
  for (size_t i = first; i < last; ++i) size += file.frames[i].bytes;
  if (bytes.size() < size) bytes.resize(size);
  char* to = bytes.data();
  for (size_t i = first; i < last; ++i) {
    const SealedFrame& frame = file.frames[i];
    if (!ReadFrame(file.fd.get(), frame, to)) memset(to, 0, frame.bytes);
    to += frame.bytes;
  }
}

// What another thread unpacks meanwhile.
struct Next {
  std::shared_ptr<const SegmentFile> file;
  uint64_t begin = 0;
  std::vector<char> bytes;
  size_t size = 0;
  std::future<void> done;  // last: its end is waited for before the rest goes
};

void UnpackNext(const SegmentFile& file, size_t first, uint64_t end, ReadBuffer& buffer) {
  if (first == file.frames.size() || file.frames[first].begin >= end) return;
  auto next = std::make_shared<Next>();
  next->file = file.shared_from_this();
  next->begin = file.frames[first].begin;
  const size_t last = RangeEnd(file.frames, first, 0, end, buffer.ahead);
  next->done = std::async(std::launch::async, [raw = next.get(), first, last] {
    Unpack(*raw->file, first, last, raw->bytes, raw->size);
  });
  buffer.next = std::move(next);
}

absl::Status LoadSealed(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                        ReadBuffer& buffer) {
  const auto above = std::upper_bound(
      file.frames.begin(), file.frames.end(), at,
      [](uint64_t offset, const SealedFrame& each) { return offset < each.begin; });
  if (above == file.frames.begin()) return Shortened(0, end);
  const size_t first = static_cast<size_t>(above - file.frames.begin()) - 1;
  buffer.begin = file.frames[first].begin;
  const auto next = std::static_pointer_cast<Next>(std::exchange(buffer.next, nullptr));
  if (next != nullptr && next->file.get() == &file && next->begin == buffer.begin) {
    next->done.get();
    buffer.bytes.swap(next->bytes);
    buffer.size = next->size;
    if (buffer.begin + buffer.size >= at + wanted) return absl::OkStatus();
  }
  const size_t last = RangeEnd(file.frames, first, at + wanted, end, buffer.ahead);
  if (buffer.parallel) UnpackNext(file, last, end, buffer);
  Unpack(file, first, last, buffer.bytes, buffer.size);
  if (buffer.begin + buffer.size < at + wanted) {
    return Shortened(buffer.begin + buffer.size, end);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadBytes(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                       ReadBuffer& buffer) {
  buffer.owner = 0;
  if (file.sealed) return LoadSealed(file, at, wanted, end, buffer);
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
