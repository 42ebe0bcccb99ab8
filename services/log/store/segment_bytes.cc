#include "services/log/store/segment_bytes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
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

// Frames that are unpacked together, by this thread or another.
struct Range {
  uint64_t begin = 0;
  std::vector<char> bytes;
  size_t size = 0;
  std::future<void> done;  // last: its end is waited for before the rest goes
};

// What is unpacked before it is asked for. At most one range is under way on another thread; while
// it is and its bytes are wanted, this thread takes the one behind it, so that both always have
// something to do.
struct Ahead {
  std::shared_ptr<const SegmentFile> file;
  uint64_t end = 0;
  size_t bytes = 0;
  size_t next = 0;  // the first frame that nobody has taken
  std::vector<char> spare;
  std::deque<std::unique_ptr<Range>> ranges;

  // Null: there is no more.
  std::unique_ptr<Range> Take(bool elsewhere) {
    if (next == file->frames.size() || file->frames[next].begin >= end) return nullptr;
    auto range = std::make_unique<Range>();
    range->begin = file->frames[next].begin;
    range->bytes.swap(spare);
    const size_t first = next;
    next = RangeEnd(file->frames, first, 0, end, bytes);
    const auto unpack = [raw = range.get(), this, first, last = next] {
      Unpack(*file, first, last, raw->bytes, raw->size);
    };
    if (elsewhere) {
      range->done = std::async(std::launch::async, unpack);
    } else {
      unpack();
    }
    return range;
  }

  void Keep(std::unique_ptr<Range> range) {
    if (range != nullptr) ranges.push_back(std::move(range));
  }

  bool UnderWay() const {
    return std::any_of(ranges.begin(), ranges.end(),
                       [](const auto& range) { return range->done.valid(); });
  }

  std::unique_ptr<Range> Next() {
    if (ranges.empty()) {
      // The other thread takes what comes behind.
      const size_t here = next;
      next = RangeEnd(file->frames, here, 0, end, bytes);
      auto other = Take(/*elsewhere=*/true);
      const size_t behind = std::exchange(next, here);
      auto own = Take(/*elsewhere=*/false);
      next = behind;
      Keep(std::move(other));
      return own;
    }
    std::unique_ptr<Range> range = std::move(ranges.front());
    ranges.pop_front();
    if (range->done.valid()) {
      if (range->done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
        Keep(Take(/*elsewhere=*/false));
      }
      range->done.get();
    }
    if (!UnderWay()) Keep(Take(/*elsewhere=*/true));
    return range;
  }
};

// Everything is gone through: two threads unpack.
bool LoadFromAhead(const SegmentFile& file, size_t first, uint64_t end, ReadBuffer& buffer) {
  auto ahead = std::static_pointer_cast<Ahead>(buffer.next);
  const uint64_t begin = file.frames[first].begin;
  if (ahead == nullptr || ahead->file.get() != &file || ahead->ranges.empty() ||
      ahead->ranges.front()->begin != begin) {
    ahead = std::make_shared<Ahead>();
    ahead->file = file.shared_from_this();
    ahead->bytes = buffer.ahead;
    ahead->next = first;
    buffer.next = ahead;
  }
  ahead->end = end;
  const std::unique_ptr<Range> range = ahead->Next();
  if (range == nullptr) return false;
  buffer.bytes.swap(range->bytes);
  buffer.size = range->size;
  ahead->spare.swap(range->bytes);
  return true;
}

absl::Status LoadSealed(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                        ReadBuffer& buffer) {
  if (file.frames.empty() || at < file.frames.front().begin) return Shortened(0, end);
  const size_t first = FrameAt(file.frames, at);
  buffer.begin = file.frames[first].begin;
  if (buffer.parallel && LoadFromAhead(file, first, end, buffer) &&
      buffer.begin + buffer.size >= at + wanted) {
    return absl::OkStatus();
  }
  buffer.next = nullptr;
  const size_t last = RangeEnd(file.frames, first, at + wanted, end, buffer.ahead);
  Unpack(file, first, last, buffer.bytes, buffer.size);
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
