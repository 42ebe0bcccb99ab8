#include "runtime-agent/archive/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "base/text/tar_end.h"
#include "runtime-agent/archive/container_path.h"

namespace slipway::agent {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr int kMaxDepth = 1000;

struct ReaderDeleter {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, ReaderDeleter>;

absl::StatusOr<Reader> OpenReader(int fd) {
  Reader reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_empty(reader.get());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  if (archive_read_open_fd(reader.get(), fd, kReadBytes) == ARCHIVE_OK) return reader;
  return absl::InvalidArgumentError(
      absl::StrCat("unreadable archive: ", archive_error_string(reader.get())));
}

// rm -r below an open directory.
absl::Status RemoveAll(int parent, const std::string& name, int depth) {
  if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, absl::StrCat("unlink ", name));
  if (depth > kMaxDepth) return absl::InvalidArgumentError("directories are nested too deep");
  UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", name));
  const int directory = fd.get();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.release()), closedir);
  if (stream == nullptr) return ErrnoStatus(errno, absl::StrCat("read ", name));
  while (const dirent* entry = readdir(stream.get())) {
    const std::string child = entry->d_name;
    if (child != "." && child != "..") RETURN_IF_ERROR(RemoveAll(directory, child, depth + 1));
  }
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("rmdir ", name));
}

bool LeadsOut(absl::string_view name) {
  int depth = 0;
  while (!name.empty()) {
    const size_t slash = std::min(name.find('/'), name.size());
    const absl::string_view element = name.substr(0, slash);
    name.remove_prefix(std::min(slash + 1, name.size()));
    if (element.empty() || element == ".") continue;
    depth += element == ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

class Unpacker {
 public:
  Unpacker(archive* reader, std::string destination, const UnpackOptions& options)
      : reader_(reader), destination_(std::move(destination)), options_(options) {}

  absl::Status Run() {
    while (!ended_) {
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(reader_, &entry);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Unreadable();
      RETURN_IF_ERROR(Entry(entry));
    }
    // Last, for what is put into a directory changes its time; children before parents.
    for (auto one = directories_.rbegin(); one != directories_.rend(); ++one) {
      utimensat(AT_FDCWD, one->path.c_str(), one->times, AT_SYMLINK_NOFOLLOW);
    }
    return absl::OkStatus();
  }

 private:
  struct DirectoryTimes {
    std::string path;
    timespec times[2];
  };

  absl::Status Unreadable() const {
    const char* why = archive_error_string(reader_);
    return absl::InvalidArgumentError(
        absl::StrCat("unreadable archive: ", why == nullptr ? "it is cut off" : why));
  }

  // Where a name of the archive stands for in the container.
  absl::StatusOr<std::string> PathOf(const char* name, absl::string_view what) const {
    if (name == nullptr) return absl::InvalidArgumentError("an archive entry has no name");
    if (LeadsOut(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " \"", name, "\" is outside of \"", destination_, "\""));
    }
    const std::string inside = CleanContainerPath(name);
    if (destination_ == "/") return inside;
    return inside == "/" ? destination_ : destination_ + inside;
  }

  absl::Status Failed(int error, absl::string_view verb, absl::string_view path) const {
    if (error == EROFS) {
      return absl::PermissionDeniedError(absl::StrCat(path, " is in a read-only file system"));
    }
    return ErrnoStatus(error, absl::StrCat(verb, " ", path));
  }

  absl::Status Entry(archive_entry* entry) {
    ASSIGN_OR_RETURN(const std::string path, PathOf(archive_entry_pathname(entry), "entry"));
    const bool is_directory =
        archive_entry_hardlink(entry) == nullptr && archive_entry_filetype(entry) == AE_IFDIR;
    if (path == destination_) {
      // The archive's own root: what it says of the destination counts, if it is a directory's.
      return is_directory ? Directory(entry, path) : absl::OkStatus();
    }
    RETURN_IF_ERROR(MakeParents(path));
    RETURN_IF_ERROR(MakeWay(path, is_directory));
    if (archive_entry_hardlink(entry) != nullptr) return HardLink(entry, path);
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return Directory(entry, path);
      case AE_IFREG:
        return File(entry, path);
      case AE_IFLNK:
        return SymbolicLink(entry, path);
      case AE_IFCHR:
      case AE_IFBLK:
      case AE_IFIFO:
        return Node(entry, path);
      default:
        return absl::InvalidArgumentError(absl::StrCat("unhandled kind of archive entry: ", path));
    }
  }

  absl::Status MakeParents(const std::string& path) {
    const std::string parent = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    if (parent == last_parent_) return absl::OkStatus();
    struct stat info;
    for (size_t slash = destination_.size(); slash != std::string::npos;) {
      slash = parent.find('/', slash + 1);
      const std::string part = parent.substr(0, slash);
      if (stat(part.c_str(), &info) == 0) continue;
      if (mkdir(part.c_str(), 0755) != 0) return Failed(errno, "mkdir", part);
    }
    last_parent_ = parent;
    return absl::OkStatus();
  }

  absl::Status MakeWay(const std::string& path, bool for_directory) {
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
    const bool there = S_ISDIR(info.st_mode);
    if (options_.keep_kinds && there != for_directory) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot overwrite ", there ? "" : "non-", "directory \"", path, "\" with ",
                       for_directory ? "" : "non-", "directory \"", destination_, "\""));
    }
    if (there && for_directory) return absl::OkStatus();
    last_parent_.clear();
    const absl::Status removed = RemoveAll(AT_FDCWD, path, 0);
    if (!removed.ok() && errno == EROFS) return Failed(EROFS, "remove", path);
    return removed;
  }

  static void TimesOf(archive_entry* entry, timespec times[2]) {
    const bool modified = archive_entry_mtime_is_set(entry) != 0;
    times[1] = modified ? timespec{archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}
                        : timespec{0, UTIME_NOW};
    times[0] = archive_entry_atime_is_set(entry) != 0
                   ? timespec{archive_entry_atime(entry), archive_entry_atime_nsec(entry)}
                   : times[1];
  }

  absl::Status SetOwner(archive_entry* entry, const std::string& path) const {
    const auto uid = options_.owner.has_value() ? options_.owner->first
                                                : static_cast<uid_t>(archive_entry_uid(entry));
    const auto gid = options_.owner.has_value() ? options_.owner->second
                                                : static_cast<gid_t>(archive_entry_gid(entry));
    if (lchown(path.c_str(), uid, gid) == 0) return absl::OkStatus();
    return Failed(errno, "chown", path);
  }

  // Where the file system takes none, or none of that kind, there is none.
  absl::Status SetXattrs(archive_entry* entry, const std::string& path) const {
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      if (absl::StartsWith(name, "trusted.")) continue;
      if (lsetxattr(path.c_str(), name, value, size, 0) != 0 && errno != ENOTSUP &&
          errno != EPERM) {
        return Failed(errno, absl::StrCat("set xattr ", name, " of"), path);
      }
    }
    return absl::OkStatus();
  }

  // Owner first: chown clears set-uid bits and capabilities.
  absl::Status SetAttributes(archive_entry* entry, const std::string& path, bool is_link) const {
    RETURN_IF_ERROR(SetOwner(entry, path));
    RETURN_IF_ERROR(SetXattrs(entry, path));
    if (!is_link && chmod(path.c_str(), archive_entry_perm(entry)) != 0) {
      return Failed(errno, "chmod", path);
    }
    timespec times[2];
    TimesOf(entry, times);
    if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed(errno, "set the times of", path);
    }
    return absl::OkStatus();
  }

  absl::Status Directory(archive_entry* entry, const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failed(errno, "mkdir", path);
    DirectoryTimes last{.path = path};
    TimesOf(entry, last.times);
    directories_.push_back(std::move(last));
    return SetAttributes(entry, path, false);
  }

  absl::Status File(archive_entry* entry, const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.ok()) return Failed(errno, "create", path);
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    uint64_t read_bytes = 0;
    int result = ARCHIVE_OK;
    while ((result = archive_read_data_block(reader_, &block, &size, &offset)) == ARCHIVE_OK) {
      size_t done = 0;
      while (done < size) {
        const ssize_t written = pwrite(fd.get(), static_cast<const char*>(block) + done,
                                       size - done, offset + static_cast<la_int64_t>(done));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return Failed(errno, "write", path);
        done += static_cast<size_t>(written);
      }
      read_bytes = static_cast<uint64_t>(offset) + size;
    }
    ended_ = result != ARCHIVE_EOF && EndsWithContent(reader_, entry, read_bytes);
    if (result != ARCHIVE_EOF && !ended_) return Unreadable();
    // A sparse file may end in a hole.
    if (ftruncate(fd.get(), archive_entry_size(entry)) != 0) {
      return Failed(errno, "truncate", path);
    }
    return SetAttributes(entry, path, false);
  }

  absl::Status HardLink(archive_entry* entry, const std::string& path) {
    ASSIGN_OR_RETURN(const std::string target, PathOf(archive_entry_hardlink(entry), "hard link"));
    if (link(target.c_str(), path.c_str()) == 0) return absl::OkStatus();
    return Failed(errno, absl::StrCat("link ", target, " to"), path);
  }

  absl::Status SymbolicLink(archive_entry* entry, const std::string& path) {
    const char* target = archive_entry_symlink(entry);
    if (target == nullptr) return absl::InvalidArgumentError("a link of the archive leads nowhere");
    if (symlink(target, path.c_str()) != 0) return Failed(errno, "symlink", path);
    return SetAttributes(entry, path, true);
  }

  absl::Status Node(archive_entry* entry, const std::string& path) {
    const mode_t mode = archive_entry_filetype(entry) | archive_entry_perm(entry);
    if (mknod(path.c_str(), mode, archive_entry_rdev(entry)) != 0) {
      return Failed(errno, "mknod", path);
    }
    return SetAttributes(entry, path, false);
  }

  archive* const reader_;
  const std::string destination_;
  const UnpackOptions options_;
  bool ended_ = false;  // behind the content of the last entry
  std::string last_parent_;
  std::vector<DirectoryTimes> directories_;
};

}  // namespace

absl::Status Unpack(int fd, const std::string& destination, const UnpackOptions& options) {
  ASSIGN_OR_RETURN(const Reader reader, OpenReader(fd));
  return Unpacker(reader.get(), destination, options).Run();
}

}  // namespace slipway::agent
