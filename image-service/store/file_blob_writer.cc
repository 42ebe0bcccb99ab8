#include "image-service/store/file_blob_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kReadBytes = 512 << 10;
constexpr int64_t kWritebackBytes = 8 << 20;

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
  // An empty file has nothing to go on from.
  if (!resumable_ || size_bytes_ == 0) Discard();
}

absl::Status FileBlobWriter::ForEachChunk(
    const std::function<absl::Status(absl::string_view)>& sink) {
  return ReadWholeFile(fd_.get(), path_, sink);
}

absl::Status FileBlobWriter::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(), size_bytes_);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("write ", path_));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    size_bytes_ += n;
  }
  if (size_bytes_ - written_back_ >= kWritebackBytes) {
    // Spreads the writing over the download; the sync at the end then has little left.
    sync_file_range(fd_.get(), written_back_, size_bytes_ - written_back_, SYNC_FILE_RANGE_WRITE);
    written_back_ = size_bytes_;
  }
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Sync() {
  if (fdatasync(fd_.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path_));
  return absl::OkStatus();
}

absl::Status FileBlobWriter::Commit(const Digest& digest) {
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
  written_back_ = 0;
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
