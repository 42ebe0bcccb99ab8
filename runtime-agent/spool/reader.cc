#include "runtime-agent/spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {

namespace {

constexpr uint64_t kBlockBytes = 4096;

absl::Status ReadExactly(int fd, void* data, size_t size, uint64_t offset) {
  auto* to = static_cast<char*>(data);
  while (size > 0) {
    ssize_t count = pread(fd, to, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read log spool");
    if (count == 0) {
      return absl::DataLossError(absl::StrCat("log spool ends at offset ", offset));
    }
    to += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

bool IsZero(const SpoolRecordHeader& header) {
  static constexpr SpoolRecordHeader kZero = {};
  return memcmp(&header, &kZero, sizeof(header)) == 0;
}

}  // namespace

absl::StatusOr<std::optional<SpoolRecord>> SpoolReader::Next(uint64_t committed) {
  if (offset_ >= committed) return std::nullopt;
  SpoolRecordHeader header;
  if (committed - offset_ < sizeof(header)) {
    return absl::DataLossError(absl::StrCat("log spool: no whole record at offset ", offset_));
  }
  RETURN_IF_ERROR(ReadExactly(fd_, &header, sizeof(header), offset_));
  if (IsZero(header)) {
    return absl::OutOfRangeError(absl::StrCat("log spool was trimmed at offset ", offset_));
  }
  if (!IsValidSpoolHeader(header) || header.length > committed - offset_ - sizeof(header)) {
    return absl::DataLossError(absl::StrCat("log spool: no valid record at offset ", offset_));
  }
  SpoolRecord record;
  record.type = static_cast<SpoolRecordType>(header.type);
  record.stream = header.stream;
  record.flags = header.flags;
  record.time_ns = header.time_ns;
  record.offset = offset_;
  record.next_offset = offset_ + sizeof(header) + header.length;
  if (record.type == SpoolRecordType::kGap) {
    RETURN_IF_ERROR(ReadExactly(fd_, &record.gap, sizeof(record.gap), offset_ + sizeof(header)));
  } else if (header.length > 0) {
    record.data.resize(header.length);
    RETURN_IF_ERROR(ReadExactly(fd_, record.data.data(), header.length, offset_ + sizeof(header)));
  }
  offset_ = record.next_offset;
  return record;
}

absl::Status TrimSpool(int fd, uint64_t from, uint64_t offset) {
  uint64_t start = from / kBlockBytes * kBlockBytes;
  uint64_t end = offset / kBlockBytes * kBlockBytes;
  if (start >= end) return absl::OkStatus();
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(start),
                static_cast<off_t>(end - start)) != 0) {
    return ErrnoStatus(errno, "trim log spool");
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
