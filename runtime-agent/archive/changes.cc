#include "runtime-agent/archive/changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr int kMaxDepth = 1000;

absl::StatusOr<std::vector<std::string>> SortedNames(int fd) {
  UniqueFd copy(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.ok()) return ErrnoStatus(errno, "open a directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy.release()), closedir);
  if (stream == nullptr) return ErrnoStatus(errno, "read a directory");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Times of images have whole seconds; a copy of a directory keeps what was there.
bool SameTime(const timespec& left, const timespec& right) {
  return left.tv_sec == right.tv_sec &&
         (left.tv_nsec == right.tv_nsec || left.tv_nsec == 0 || right.tv_nsec == 0);
}

class Comparison {
 public:
  using Found = std::function<absl::Status(char, const std::string&)>;
  Comparison(int lower, const Found& found) : lower_(lower), found_(found) {}

  // `fd`: the upper directory behind `path` ("" for the root).
  absl::Status Directory(int fd, const std::string& path, int depth) {
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError("directories are nested too deep");
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> names, SortedNames(fd));
    for (const std::string& name : names) {
      struct stat info;
      if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        return ErrnoStatus(errno, absl::StrCat("stat ", path, "/", name));
      }
      RETURN_IF_ERROR(Entry(fd, name, path, info, depth));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Entry(int fd, const std::string& name, const std::string& parent,
                     const struct stat& info, int depth) {
    const std::string path = absl::StrCat(parent, "/", name);
    if (S_ISCHR(info.st_mode) && info.st_rdev == 0) return Report('D', path, parent);
    struct stat below;
    const bool existed = fstatat(lower_, path.c_str() + 1, &below, AT_SYMLINK_NOFOLLOW) == 0;
    if (!S_ISDIR(info.st_mode)) return Report(existed ? 'C' : 'A', path, parent);
    const bool same = existed && S_ISDIR(below.st_mode) && below.st_mode == info.st_mode &&
                      below.st_uid == info.st_uid && below.st_gid == info.st_gid &&
                      SameTime(below.st_mtim, info.st_mtim);
    if (!same) {
      changed_.insert(path);
      RETURN_IF_ERROR(Report(existed ? 'C' : 'A', path, parent));
    }
    const UniqueFd child(openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child.ok()) {
      if (errno == ENOENT) return absl::OkStatus();
      return ErrnoStatus(errno, absl::StrCat("open ", path));
    }
    return Directory(child.get(), path, depth + 1);
  }

  absl::Status Report(char kind, const std::string& path, const std::string& parent) {
    if (kind != 'C' && !parent.empty() && changed_.insert(parent).second) {
      RETURN_IF_ERROR(found_('C', parent));
    }
    return found_(kind, path);
  }

  const int lower_;
  const Found& found_;
  std::set<std::string> changed_;
};

}  // namespace

absl::Status FindChanges(
    const std::string& upper, const std::string& lower,
    const std::function<absl::Status(char kind, const std::string& path)>& found) {
  const UniqueFd changed(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!changed.ok()) return ErrnoStatus(errno, absl::StrCat("open ", upper));
  const UniqueFd image(open(lower.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!image.ok()) return ErrnoStatus(errno, absl::StrCat("open ", lower));
  return Comparison(image.get(), found).Directory(changed.get(), "", 0);
}

}  // namespace slipway::agent
