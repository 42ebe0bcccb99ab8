#include "base/os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway {

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  while (true) {
    const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return ErrnoStatus(errno, absl::StrCat("open ", path));
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  std::string content;
  char buffer[16384];
  while (true) {
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n == 0) return content;
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("read ", path));
    }
    if (content.size() + static_cast<size_t>(n) > limit_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is longer than ", limit_bytes, " bytes"));
    }
    content.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status WriteKernelFile(const std::string& path, absl::string_view content) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_WRONLY));
  if (write(fd.get(), content.data(), content.size()) < 0) {
    return ErrnoStatus(errno, absl::StrCat("write \"", content, "\" to ", path));
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, absl::string_view content, absl::string_view what) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("write ", what));
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode) {
  const std::string temporary = absl::StrCat(path, ".tmp.", getpid());
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
  absl::Status status = WriteAll(fd.get(), content, temporary);
  if (status.ok() && fdatasync(fd.get()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("sync ", temporary));
  }
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename ", temporary, " to ", path));
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  ASSIGN_OR_RETURN(const UniqueFd dir, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (fsync(dir.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", directory));
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string prefix = path.substr(0, at);
    if (mkdir(prefix.c_str(), mode) == 0 || errno == EEXIST) continue;
    return ErrnoStatus(errno, absl::StrCat("mkdir ", prefix));
  }
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISDIR(st.st_mode)) return ErrnoStatus(ENOTDIR, absl::StrCat("mkdir ", path));
  return absl::OkStatus();
}

}  // namespace slipway
