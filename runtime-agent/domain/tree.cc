#include "runtime-agent/domain/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {
namespace {

constexpr int kMaxDepth = 2048;
constexpr size_t kMaxXattrBytes = 64 << 10;

struct Entry {
  std::string name;
  bool is_directory = false;  // false where the file system does not say
};

absl::StatusOr<std::vector<Entry>> Entries(int directory) {
  UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.ok()) return ErrnoStatus(errno, "open a directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy.get()), closedir);
  if (stream == nullptr) return ErrnoStatus(errno, "read a directory");
  (void)copy.release();
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") entries.push_back({name, entry->d_type == DT_DIR});
  }
  if (errno != 0) return ErrnoStatus(errno, "read a directory");
  return entries;
}

absl::Status RemoveContent(int directory, int depth) {
  if (depth > kMaxDepth) return absl::InternalError("a directory tree is too deep to remove");
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Entries(directory));
  absl::Status first;
  for (const auto& [name, is_directory] : entries) {
    if (!is_directory) {
      if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno != EISDIR && errno != EPERM) {
        first.Update(ErrnoStatus(errno, absl::StrCat("unlink ", name)));
        continue;
      }
    } else if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0) {
      continue;  // empty
    }
    const UniqueFd child(
        openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child.ok()) {
      first.Update(ErrnoStatus(errno, absl::StrCat("open ", name)));
      continue;
    }
    first.Update(RemoveContent(child.get(), depth + 1));
    if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) {
      first.Update(ErrnoStatus(errno, absl::StrCat("rmdir ", name)));
    }
  }
  return first;
}

absl::Status CopyXattrs(int from, int to) {
  std::string names(kMaxXattrBytes, '\0');
  const ssize_t size = flistxattr(from, names.data(), names.size());
  if (size < 0) return errno == ENOTSUP ? absl::OkStatus() : ErrnoStatus(errno, "list xattrs");
  std::string value(kMaxXattrBytes, '\0');
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    if (absl::StartsWith(name, "trusted.overlay.")) continue;
    const ssize_t length = fgetxattr(from, name, value.data(), value.size());
    if (length < 0) continue;
    if (fsetxattr(to, name, value.data(), static_cast<size_t>(length), 0) != 0 &&
        errno != ENOTSUP) {
      return ErrnoStatus(errno, absl::StrCat("set xattr ", name));
    }
  }
  return absl::OkStatus();
}

// Owner first: chown clears set-uid bits.
absl::Status CopyAttributes(int from, int to, const struct stat& info) {
  if (fchown(to, info.st_uid, info.st_gid) != 0) return ErrnoStatus(errno, "chown a copy");
  RETURN_IF_ERROR(CopyXattrs(from, to));
  if (fchmod(to, info.st_mode & 07777) != 0) return ErrnoStatus(errno, "chmod a copy");
  const timespec times[2] = {info.st_atim, info.st_mtim};
  if (futimens(to, times) != 0) return ErrnoStatus(errno, "set times of a copy");
  return absl::OkStatus();
}

// Copies of files that have more names, until all of those were met. Not more than so many are kept
// open: what comes behind them is copied once for each name.
constexpr size_t kMaxKeptCopies = 512;

struct Copy {
  UniqueFd file;
  nlink_t names_left = 0;
};
using Copies = std::map<std::pair<dev_t, ino_t>, Copy>;

// Whether it is another name of what was copied already.
absl::StatusOr<bool> LinkCopy(Copies& copies, int to_directory, const char* name,
                              const struct stat& info) {
  const auto found = copies.find({info.st_dev, info.st_ino});
  if (found == copies.end()) return false;
  if (linkat(found->second.file.get(), "", to_directory, name, AT_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("link ", name));
  }
  if (--found->second.names_left == 0) copies.erase(found);
  return true;
}

absl::Status CopyFile(int from_directory, int to_directory, const char* name,
                      const struct stat& info, Copies& copies) {
  ASSIGN_OR_RETURN(const bool linked, LinkCopy(copies, to_directory, name, info));
  if (linked) return absl::OkStatus();
  const UniqueFd from(openat(from_directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!from.ok()) return ErrnoStatus(errno, absl::StrCat("open ", name));
  UniqueFd to(
      openat(to_directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.ok()) return ErrnoStatus(errno, absl::StrCat("create ", name));
  while (true) {
    const ssize_t moved = copy_file_range(from.get(), nullptr, to.get(), nullptr, 16 << 20, 0);
    if (moved == 0) break;
    if (moved > 0 || errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP) {
      return ErrnoStatus(errno, absl::StrCat("copy ", name));
    }
    std::string block(1 << 20, '\0');
    ssize_t got = 0;
    while ((got = read(from.get(), block.data(), block.size())) > 0) {
      ssize_t put = 0;
      while (put < got) {
        const ssize_t some = write(to.get(), block.data() + put, static_cast<size_t>(got - put));
        if (some < 0 && errno != EINTR) return ErrnoStatus(errno, absl::StrCat("write ", name));
        if (some > 0) put += some;
      }
    }
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", name));
    break;
  }
  RETURN_IF_ERROR(CopyAttributes(from.get(), to.get(), info));
  if (info.st_nlink > 1 && copies.size() < kMaxKeptCopies) {
    copies[{info.st_dev, info.st_ino}] = {std::move(to), info.st_nlink - 1};
  }
  return absl::OkStatus();
}

absl::Status CopyContent(int from, int to, int depth, Copies& copies);

absl::Status CopyEntry(int from, int to, const char* name, int depth, Copies& copies) {
  struct stat info;
  if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", name));
  }
  if (S_ISREG(info.st_mode)) return CopyFile(from, to, name, info, copies);
  if (S_ISDIR(info.st_mode)) {
    if (mkdirat(to, name, 0700) != 0) return ErrnoStatus(errno, absl::StrCat("mkdir ", name));
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd source(openat(from, name, flags));
    const UniqueFd target(openat(to, name, flags));
    if (!source.ok() || !target.ok()) return ErrnoStatus(errno, absl::StrCat("open ", name));
    RETURN_IF_ERROR(CopyContent(source.get(), target.get(), depth + 1, copies));
    return CopyAttributes(source.get(), target.get(), info);
  }
  if (S_ISLNK(info.st_mode)) {
    char text[PATH_MAX + 1];
    const ssize_t length = readlinkat(from, name, text, PATH_MAX);
    if (length < 0) return ErrnoStatus(errno, absl::StrCat("readlink ", name));
    text[length] = '\0';
    if (symlinkat(text, to, name) != 0) return ErrnoStatus(errno, absl::StrCat("symlink ", name));
  } else if (mknodat(to, name, info.st_mode, info.st_rdev) != 0) {
    return ErrnoStatus(errno, absl::StrCat("mknod ", name));
  }
  if (fchownat(to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", name));
  }
  return absl::OkStatus();
}

absl::Status CopyContent(int from, int to, int depth, Copies& copies) {
  if (depth > kMaxDepth) return absl::InternalError("a directory tree is too deep to copy");
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Entries(from));
  for (const Entry& entry : entries) {
    RETURN_IF_ERROR(CopyEntry(from, to, entry.name.c_str(), depth, copies));
  }
  return absl::OkStatus();
}

absl::Status AddSizes(int directory, int depth, std::set<std::pair<dev_t, ino_t>>& seen,
                      int64_t& bytes) {
  if (depth > kMaxDepth) return absl::InternalError("a directory tree is too deep to measure");
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Entries(directory));
  for (const Entry& entry : entries) {
    struct stat info;
    if (fstatat(directory, entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(info.st_mode) &&
        (info.st_nlink == 1 || seen.emplace(info.st_dev, info.st_ino).second)) {
      bytes += info.st_size;
    }
    if (!S_ISDIR(info.st_mode)) continue;
    const UniqueFd child(
        openat(directory, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (child.ok()) RETURN_IF_ERROR(AddSizes(child.get(), depth + 1, seen, bytes));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> TreeSize(const std::string& path) {
  const UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  std::set<std::pair<dev_t, ino_t>> seen;
  int64_t bytes = 0;
  RETURN_IF_ERROR(AddSizes(root.get(), 0, seen, bytes));
  return bytes;
}

absl::Status EmptyDirectory(const std::string& path) {
  const UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return RemoveContent(root.get(), 0);
}

absl::StatusOr<bool> IsEmptyDirectory(const std::string& path) {
  const UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Entries(root.get()));
  return entries.empty();
}

absl::Status RemoveTree(const std::string& path) {
  const UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.ok()) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("open ", path));
  }
  const absl::Status content = RemoveContent(root.get(), 0);
  if (rmdir(path.c_str()) != 0 && errno != ENOENT && content.ok()) {
    return ErrnoStatus(errno, absl::StrCat("rmdir ", path));
  }
  return content;
}

bool HasDirectory(int root_fd, const std::string& inside) {
  return OpenBeneath(root_fd, inside, O_PATH | O_DIRECTORY, 0,
                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
      .ok();
}

absl::Status FillEmptyDirectory(int root_fd, const std::string& inside,
                                const std::string& directory) {
  auto from = OpenBeneath(root_fd, inside, O_RDONLY | O_DIRECTORY, 0,
                          RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (!from.ok()) return absl::OkStatus();
  const UniqueFd to(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!to.ok()) return ErrnoStatus(errno, absl::StrCat("open ", directory));
  ASSIGN_OR_RETURN(const std::vector<Entry> present, Entries(to.get()));
  if (!present.empty()) return absl::OkStatus();
  struct stat info;
  if (fstat(from->get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", inside));
  Copies copies;
  RETURN_IF_ERROR(CopyContent(from->get(), to.get(), 0, copies));
  return CopyAttributes(from->get(), to.get(), info);
}

}  // namespace slipway::agent
