#include "runtime-agent/archive/tree_archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/archive/container_path.h"

namespace slipway::agent {
namespace {

constexpr int kMaxDepth = 1000;
constexpr size_t kMaxXattrBytes = 64 << 10;
constexpr char kOpaque[] = "trusted.overlay.opaque";

struct Place {
  uint64_t mount = 0;
  struct stat info = {};
};

absl::StatusOr<std::vector<std::string>> SortedNames(int directory) {
  UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.ok()) return ErrnoStatus(errno, "open a directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy.get()), closedir);
  if (stream == nullptr) return ErrnoStatus(errno, "read a directory");
  (void)copy.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      names.emplace_back(entry->d_name);
    }
  }
  if (errno != 0) return ErrnoStatus(errno, "read a directory");
  std::sort(names.begin(), names.end());
  return names;
}

// Docker's choice: what programs set, and capabilities of files.
bool KeepXattr(absl::string_view name) {
  return name == "security.capability" || absl::StartsWith(name, "user.");
}

std::vector<std::pair<std::string, std::string>> XattrsOf(int fd) {
  std::vector<std::pair<std::string, std::string>> found;
  char names[kMaxXattrBytes];
  const ssize_t size = flistxattr(fd, names, sizeof(names));
  if (size <= 0) return found;
  std::string value(kMaxXattrBytes, '\0');
  for (const char* name = names; name < names + size; name += strlen(name) + 1) {
    if (!KeepXattr(name)) continue;
    const ssize_t length = fgetxattr(fd, name, value.data(), value.size());
    if (length >= 0) found.emplace_back(name, value.substr(0, static_cast<size_t>(length)));
  }
  std::sort(found.begin(), found.end());
  return found;
}

absl::StatusOr<Place> LookAt(int parent, const std::string& name) {
  Place place;
  struct statx extended;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (statx(parent, name.c_str(), flags, STATX_MNT_ID, &extended) != 0 ||
      fstatat(parent, name.c_str(), &place.info, flags) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", name));
  }
  place.mount = extended.stx_mnt_id;
  return place;
}

class Walk {
 public:
  Walk(const TreeOptions& options, TarWriter& tar) : options_(options), tar_(tar) {}

  absl::Status Root(const std::string& path, absl::string_view name) {
    auto place = LookAt(AT_FDCWD, path);
    RETURN_IF_ERROR(place.status());
    mount_ = place->mount;
    if (!S_ISDIR(place->info.st_mode)) {
      return Entry(AT_FDCWD, path, std::string(name), *place, 0);
    }
    const UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
    if (!name.empty()) {
      RETURN_IF_ERROR(Directory(directory.get(), std::string(name), place->info));
    }
    if (OnPseudoFileSystem(directory.get())) return absl::OkStatus();
    const std::string prefix =
        name.empty() || name == "/" ? std::string(name) : absl::StrCat(name, "/");
    return Content(directory.get(), prefix, 0);
  }

 private:
  static TarMember MemberOf(std::string name, char type, const struct stat& info) {
    return {.name = std::move(name),
            .type = type,
            .mode = info.st_mode,
            .uid = info.st_uid,
            .gid = info.st_gid,
            .modified_s = info.st_mtim.tv_sec};
  }

  absl::Status Directory(int fd, std::string name, const struct stat& info) {
    if (!absl::EndsWith(name, "/")) name.push_back('/');
    TarMember member = MemberOf(name, '5', info);
    member.xattrs = XattrsOf(fd);
    RETURN_IF_ERROR(tar_.Add(member));
    char value[4];
    if (!options_.whiteouts || fgetxattr(fd, kOpaque, value, sizeof(value)) != 1 ||
        value[0] != 'y') {
      return absl::OkStatus();
    }
    return tar_.Add({.name = absl::StrCat(name, ".wh..wh..opq"),
                     .mode = 0644,
                     .modified_s = info.st_mtim.tv_sec});
  }

  absl::Status Content(int fd, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError(
          absl::StrCat("directories are nested deeper than ", kMaxDepth, " levels"));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> names, SortedNames(fd));
    for (const std::string& name : names) {
      const auto place = LookAt(fd, name);
      if (absl::IsNotFound(place.status())) continue;
      RETURN_IF_ERROR(place.status());
      RETURN_IF_ERROR(Entry(fd, name, absl::StrCat(prefix, name), *place, depth));
    }
    return absl::OkStatus();
  }

  absl::Status Entry(int parent, const std::string& entry, const std::string& name,
                     const Place& place, int depth) {
    const struct stat& info = place.info;
    switch (info.st_mode & S_IFMT) {
      case S_IFREG:
        return File(parent, entry, name, place);
      case S_IFDIR:
        return Subtree(parent, entry, name, place, depth);
      case S_IFLNK:
        return Link(parent, entry, name, info);
      case S_IFCHR:
      case S_IFBLK:
        if (options_.whiteouts && S_ISCHR(info.st_mode) && info.st_rdev == 0) {
          return Whiteout(name);
        }
        return Device(name, info);
      case S_IFIFO:
        return tar_.Add(MemberOf(name, '6', info));
      default:
        return absl::OkStatus();  // a socket
    }
  }

  absl::Status Subtree(int parent, const std::string& entry, const std::string& name,
                       const Place& place, int depth) {
    const UniqueFd fd(
        openat(parent, entry.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return absl::OkStatus();
      return ErrnoStatus(errno, absl::StrCat("open ", name));
    }
    RETURN_IF_ERROR(Directory(fd.get(), name, place.info));
    const bool foreign = place.mount != mount_;
    if (foreign && (options_.one_mount || OnPseudoFileSystem(fd.get()))) return absl::OkStatus();
    return Content(fd.get(), absl::StrCat(name, "/"), depth + 1);
  }

  // Whether it is a further name of a file that is in the archive already.
  bool AddHardLink(const std::string& name, const struct stat& info, TarMember* member) {
    if (info.st_nlink < 2) return false;
    const auto [first, inserted] =
        seen_.try_emplace(std::pair(uint64_t{info.st_dev}, uint64_t{info.st_ino}), name);
    if (inserted) return false;
    member->type = '1';
    member->link = first->second;
    return true;
  }

  absl::Status File(int parent, const std::string& entry, const std::string& name,
                    const Place& place) {
    const UniqueFd fd(
        openat(parent, entry.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd.ok()) {
      if (errno == ENOENT || errno == ELOOP) return absl::OkStatus();
      return ErrnoStatus(errno, absl::StrCat("open ", name));
    }
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", name));
    if (!S_ISREG(info.st_mode)) return absl::OkStatus();  // another one by now
    TarMember member = MemberOf(name, '0', info);
    if (AddHardLink(name, info, &member)) return tar_.Add(member);
    member.xattrs = XattrsOf(fd.get());
    // What is bound over the tree is not of it: its place is an empty file.
    if (!options_.one_mount || place.mount == mount_) member.size_bytes = info.st_size;
    RETURN_IF_ERROR(tar_.Add(member));
    return tar_.ContentOf(fd.get(), member.size_bytes);
  }

  absl::Status Link(int parent, const std::string& entry, const std::string& name,
                    const struct stat& info) {
    char target[PATH_MAX];
    const ssize_t size = readlinkat(parent, entry.c_str(), target, sizeof(target));
    if (size < 0) {
      if (errno == ENOENT || errno == EINVAL) return absl::OkStatus();
      return ErrnoStatus(errno, absl::StrCat("readlink ", name));
    }
    TarMember member = MemberOf(name, '2', info);
    member.mode = 0777;
    if (!AddHardLink(name, info, &member)) member.link.assign(target, static_cast<size_t>(size));
    return tar_.Add(member);
  }

  absl::Status Device(const std::string& name, const struct stat& info) {
    TarMember member = MemberOf(name, S_ISCHR(info.st_mode) ? '3' : '4', info);
    member.device_major = major(info.st_rdev);
    member.device_minor = minor(info.st_rdev);
    return tar_.Add(member);
  }

  absl::Status Whiteout(const std::string& name) {
    const size_t slash = name.rfind('/');
    const size_t begin = slash == std::string::npos ? 0 : slash + 1;
    return tar_.Add(
        {.name = absl::StrCat(name.substr(0, begin), ".wh.", name.substr(begin)), .mode = 0644});
  }

  const TreeOptions options_;
  TarWriter& tar_;
  uint64_t mount_ = 0;
  std::map<std::pair<uint64_t, uint64_t>, std::string> seen_;
};

}  // namespace

absl::Status ArchiveTree(const std::string& path, absl::string_view name,
                         const TreeOptions& options, TarWriter& tar) {
  return Walk(options, tar).Root(path, name);
}

}  // namespace slipway::agent
