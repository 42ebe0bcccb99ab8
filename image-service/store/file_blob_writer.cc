#include "image-service/store/file_blob_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kReadBytes = 512 << 10;
constexpr size_t kBufferBytes = 512 << 10;
// A small blob is left to the page cache.
constexpr int64_t kDirectFromBytes = 4 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<FileBlobWriter>> FileBlobWriter::Open(std::string path,
                                                                     std::string blob_directory,
                                                                     bool resumable) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return std::unique_ptr<FileBlobWriter>(new FileBlobWriter(
      std::move(fd), std::move(path), std::move(blob_directory), resumable, st.st_size));
}

FileBlobWriter::~FileBlobWriter() {
  if (path_.empty()) return;
  // An empty file has nothing to go on from.
  if (!resumable_ || size_bytes_ == 0 || !Flush().ok()) Discard();
}

absl::Status FileBlobWriter::ForEachChunk(
    const std::function<absl::Status(absl::string_view)>& sink) {
  RETURN_IF_ERROR(Flush());
  return ReadWholeFile(fd_.get(), path_, sink);
}

absl::Status FileBlobWriter::PrepareBuffer() {
  if (buffer_ == nullptr) buffer_ = NewAlignedBuffer(kBufferBytes);
  // What an earlier attempt left ends anywhere: its last block is written once more.
  const int64_t start =
      size_bytes_ / static_cast<int64_t>(kDirectAlignment) * static_cast<int64_t>(kDirectAlignment);
  if (buffer_start_ < size_bytes_ || start == size_bytes_) return absl::OkStatus();
  const ssize_t tail = size_bytes_ - start;
  if (pread(fd_.get(), buffer_.get(), static_cast<size_t>(tail), start) != tail) {
    return ErrnoStatus(errno, absl::StrCat("read ", path_));
  }
  buffer_start_ = start;
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Write(absl::string_view bytes, int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(), offset);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("write ", path_));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Append(absl::string_view bytes) {
  if (size_bytes_ < kDirectFromBytes) {
    const absl::string_view head =
        bytes.substr(0, static_cast<size_t>(kDirectFromBytes - size_bytes_));
    RETURN_IF_ERROR(Write(head, size_bytes_));
    size_bytes_ += static_cast<int64_t>(head.size());
    buffer_start_ = size_bytes_;
    bytes.remove_prefix(head.size());
  }
  if (bytes.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(PrepareBuffer());
  while (!bytes.empty()) {
    const auto used = static_cast<size_t>(size_bytes_ - buffer_start_);
    const size_t part = std::min(bytes.size(), kBufferBytes - used);
    memcpy(buffer_.get() + used, bytes.data(), part);
    bytes.remove_prefix(part);
    size_bytes_ += static_cast<int64_t>(part);
    if (used + part == kBufferBytes) RETURN_IF_ERROR(Flush());
  }
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Flush() {
  const absl::string_view bytes(buffer_.get(), static_cast<size_t>(size_bytes_ - buffer_start_));
  if (bytes.empty()) return absl::OkStatus();
  if (bytes.size() == kBufferBytes) {
    RETURN_IF_ERROR(direct_.WriteAt(static_cast<uint64_t>(buffer_start_), bytes,
                                    absl::StrCat("write ", path_)));
  } else {
    RETURN_IF_ERROR(Write(bytes, buffer_start_));
  }
  buffer_start_ = size_bytes_;
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Sync() {
  RETURN_IF_ERROR(Flush());
  if (fdatasync(fd_.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path_));
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Commit(const Digest& digest) {
  RETURN_IF_ERROR(Flush());
  const std::string target = absl::StrCat(blob_directory_, "/", digest.hex());
  if (rename(path_.c_str(), target.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", path_, " to ", target));
  }
  path_.clear();
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(blob_directory_, O_RDONLY | O_DIRECTORY));
  if (fsync(directory.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("sync ", blob_directory_));
  }
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Truncate() {
  if (ftruncate(fd_.get(), 0) != 0) return ErrnoStatus(errno, absl::StrCat("truncate ", path_));
  size_bytes_ = 0;
  buffer_start_ = 0;
  return absl::OkStatus();
}

void FileBlobWriter::Discard() {
  if (path_.empty()) return;
  unlink(path_.c_str());
  path_.clear();
}

absl::Status ReadWholeFile(int fd, const std::string& path,
                           const std::function<absl::Status(absl::string_view)>& sink) {
  const std::unique_ptr<char[]> buffer(new char[kReadBytes]);
  int64_t offset = 0;
  while (true) {
    const ssize_t n = pread(fd, buffer.get(), kReadBytes, offset);
    if (n == 0) return absl::OkStatus();
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("read ", path));
    }
    RETURN_IF_ERROR(sink(absl::string_view(buffer.get(), static_cast<size_t>(n))));
    offset += n;
  }
}

}  // namespace slipway::image
