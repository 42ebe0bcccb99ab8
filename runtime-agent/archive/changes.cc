#include "runtime-agent/archive/changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr int kMaxDepth = 1000;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

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

// Times of images may have whole seconds only.
bool SameTime(const timespec& left, const timespec& right) {
  return left.tv_sec == right.tv_sec &&
         (left.tv_nsec == right.tv_nsec || left.tv_nsec == 0 || right.tv_nsec == 0);
}

// Docker's rule: neither time nor size of a directory counts.
bool Differs(const struct stat& left, const struct stat& right) {
  if (left.st_mode != right.st_mode || left.st_uid != right.st_uid || left.st_gid != right.st_gid ||
      left.st_rdev != right.st_rdev) {
    return true;
  }
  if (S_ISDIR(left.st_mode)) return false;
  return left.st_size != right.st_size || !SameTime(left.st_mtim, right.st_mtim);
}

bool IsOpaque(int fd) {
  char value[4];
  return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

struct Change {
  char kind;
  std::string path;
};

class Comparison {
 public:
  explicit Comparison(int lower) : lower_(lower) {}

  const std::vector<Change>& changes() const { return changes_; }

  // What is in the upper directory `fd` behind `path` ("" for the root). `hides`: nothing of the
  // image shows through.
  absl::Status Content(int fd, const std::string& path, bool hides, int depth) {
    if (depth > kMaxDepth) return absl::InvalidArgumentError("directories are nested too deep");
    ASSIGN_OR_RETURN(const std::vector<std::string> names, SortedNames(fd));
    for (const std::string& name : names) {
      struct stat info;
      if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        return ErrnoStatus(errno, absl::StrCat("stat ", path, "/", name));
      }
      RETURN_IF_ERROR(Entry(fd, name, path, info, depth));
    }
    return hides ? Hidden(path, names) : absl::OkStatus();
  }

 private:
  bool LookBelow(const std::string& path, struct stat* info) const {
    return fstatat(lower_, path.c_str() + 1, info, AT_SYMLINK_NOFOLLOW) == 0;
  }

  absl::Status Entry(int fd, const std::string& name, const std::string& parent,
                     const struct stat& info, int depth) {
    const std::string path = absl::StrCat(parent, "/", name);
    struct stat below;
    const bool existed = LookBelow(path, &below);
    if (S_ISCHR(info.st_mode) && info.st_rdev == 0) {
      if (existed) changes_.push_back({'D', path});
      return absl::OkStatus();
    }
    const size_t place = changes_.size();
    const bool was_directory = existed && S_ISDIR(below.st_mode);
    if (S_ISDIR(info.st_mode)) {
      const UniqueFd child(openat(fd, name.c_str(), kDirectoryFlags));
      if (!child.ok()) {
        if (errno == ENOENT) return absl::OkStatus();
        return ErrnoStatus(errno, absl::StrCat("open ", path));
      }
      RETURN_IF_ERROR(
          Content(child.get(), path, was_directory && IsOpaque(child.get()), depth + 1));
    } else if (was_directory) {
      RETURN_IF_ERROR(Hidden(path, {}));
    }
    // A directory is changed when something in it is.
    if (!existed || Differs(below, info) || changes_.size() > place) {
      changes_.insert(changes_.begin() + static_cast<ptrdiff_t>(place),
                      {existed ? 'C' : 'A', path});
    }
    return absl::OkStatus();
  }

  // What the image's directory `path` has and the container's does not.
  absl::Status Hidden(const std::string& path, const std::vector<std::string>& kept) {
    const UniqueFd below(openat(lower_, path.c_str() + 1, kDirectoryFlags));
    if (!below.ok()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<std::string> names, SortedNames(below.get()));
    for (const std::string& name : names) {
      if (!std::binary_search(kept.begin(), kept.end(), name)) {
        changes_.push_back({'D', absl::StrCat(path, "/", name)});
      }
    }
    return absl::OkStatus();
  }

  const int lower_;
  std::vector<Change> changes_;
};

}  // namespace

absl::Status FindChanges(
    const std::string& upper, const std::string& lower,
    const std::function<absl::Status(char kind, const std::string& path)>& found) {
  const UniqueFd changed(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!changed.ok()) return ErrnoStatus(errno, absl::StrCat("open ", upper));
  const UniqueFd image(open(lower.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!image.ok()) return ErrnoStatus(errno, absl::StrCat("open ", lower));
  Comparison comparison(image.get());
  RETURN_IF_ERROR(comparison.Content(changed.get(), "", false, 0));
  for (const Change& change : comparison.changes()) {
    RETURN_IF_ERROR(found(change.kind, change.path));
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
