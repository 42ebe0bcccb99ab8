#include "services/log/store/segment_bytes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

absl::Status LoadSealed(const SegmentFile& file, uint64_t at, size_t wanted, uint64_t end,
                        ReadBuffer& buffer) {
  auto frame = std::upper_bound(
      file.frames.begin(), file.frames.end(), at,
      [](uint64_t offset, const SealedFrame& each) { return offset < each.begin; });
  if (frame == file.frames.begin()) return Shortened(0, end);
  --frame;
  buffer.begin = frame->begin;
  size_t size = 0;
  const uint64_t needed = at + wanted;
  for (; frame != file.frames.end() && frame->begin < std::min(end, needed + buffer.ahead);
       ++frame) {
    if (buffer.begin + size >= needed && size + frame->bytes > buffer.ahead) break;
    if (buffer.bytes.size() < size + frame->bytes) {
      buffer.bytes.resize(std::max<size_t>(size + frame->bytes, buffer.ahead));
    }
    char* const to = buffer.bytes.data() + size;
    if (!ReadFrame(file.fd.get(), *frame, to)) memset(to, 0, frame->bytes);
    size += frame->bytes;
  }
  if (buffer.begin + size < needed) return Shortened(buffer.begin + size, end);
  buffer.size = size;
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
