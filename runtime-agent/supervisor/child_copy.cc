#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr int kMaxCopyDepth = 64;

struct KernelDirent {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

int CopyFile(int from_dir, int to_dir, const char* name, const struct stat& info) {
  int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (from < 0) return -1;
  int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  off_t left = info.st_size;
  while (to >= 0 && left > 0) {
    ssize_t sent = sendfile(to, from, nullptr, static_cast<size_t>(left));
    if (sent <= 0) break;
    left -= sent;
  }
  int error = errno;
  close(from);
  if (to >= 0) close(to);
  errno = error;
  return to >= 0 && left == 0 ? 0 : -1;
}

int CopyEntry(int from_dir, int to_dir, const char* name, int depth) {
  struct stat info;
  if (fstatat(from_dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  int result = 0;
  if (S_ISDIR(info.st_mode)) {
    if (mkdirat(to_dir, name, 0700) != 0) return -1;
    int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    result = from < 0 || to < 0 ? -1 : CopyTree(from, to, depth + 1);
    int error = errno;
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    errno = error;
  } else if (S_ISREG(info.st_mode)) {
    result = CopyFile(from_dir, to_dir, name, info);
  } else if (S_ISLNK(info.st_mode)) {
    char link[PATH_MAX];
    ssize_t length = readlinkat(from_dir, name, link, sizeof(link) - 1);
    if (length < 0) return -1;
    link[length] = '\0';
    result = symlinkat(link, to_dir, name);
  } else {
    result = mknodat(to_dir, name, info.st_mode, info.st_rdev);
  }
  if (result != 0) return -1;
  if (fchownat(to_dir, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  if (!S_ISLNK(info.st_mode) && fchmodat(to_dir, name, info.st_mode & 07777, 0) != 0) return -1;
  timespec times[2] = {info.st_atim, info.st_mtim};
  return utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW);
}

}  // namespace

int CopyTree(int from, int to, int depth) {
  if (depth > kMaxCopyDepth) {
    errno = ELOOP;
    return -1;
  }
  alignas(KernelDirent) char buffer[2048];
  for (;;) {
    long size = syscall(SYS_getdents64, from, buffer, sizeof(buffer));
    if (size <= 0) return static_cast<int>(size);
    for (long at = 0; at < size;) {
      auto* entry = reinterpret_cast<KernelDirent*>(buffer + at);
      at += entry->length;
      const char* name = entry->name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      if (CopyEntry(from, to, name, depth) != 0) return -1;
    }
  }
}

}  // namespace slipway::agent
