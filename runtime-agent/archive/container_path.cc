#include "runtime-agent/archive/container_path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr int kMaxLinks = 255;

std::vector<absl::string_view> Elements(absl::string_view path) {
  return absl::StrSplit(path, '/', absl::SkipEmpty());
}

}  // namespace

bool OnPseudoFileSystem(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) != 0) return false;
  switch (static_cast<uint64_t>(info.f_type)) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case BPF_FS_MAGIC:
    case 0x19800202:  // mqueue
      return true;
    default:
      return false;
  }
}

std::string CleanContainerPath(absl::string_view path) {
  std::vector<absl::string_view> clean;
  for (const absl::string_view element : Elements(path)) {
    if (element == ".") continue;
    if (element != "..") {
      clean.push_back(element);
    } else if (!clean.empty()) {
      clean.pop_back();
    }
  }
  return absl::StrCat("/", absl::StrJoin(clean, "/"));
}

std::string BaseName(absl::string_view path) {
  while (path.size() > 1 && absl::EndsWith(path, "/")) path.remove_suffix(1);
  if (path.empty()) return ".";
  if (path == "/") return "/";
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string KeepTrailing(absl::string_view path) {
  std::string clean = CleanContainerPath(path);
  if (BaseName(path) == ".") absl::StrAppend(&clean, clean == "/" ? "." : "/.");
  if (absl::EndsWith(path, "/") && !absl::EndsWith(clean, "/")) clean.push_back('/');
  return clean;
}

absl::StatusOr<std::string> EvaluateLinks(const std::string& path) {
  std::deque<std::string> left;
  for (const absl::string_view element : Elements(path)) left.emplace_back(element);
  std::string done;
  int links = 0;
  while (!left.empty()) {
    const std::string element = std::move(left.front());
    left.pop_front();
    if (element == ".") continue;
    if (element == "..") {
      done.resize(done.empty() ? 0 : done.rfind('/'));
      continue;
    }
    const std::string next = absl::StrCat(done, "/", element);
    char target[PATH_MAX];
    const ssize_t size = readlink(next.c_str(), target, sizeof(target));
    if (size < 0) {  // no link, or not there
      done = next;
      continue;
    }
    if (++links > kMaxLinks) {
      return absl::InvalidArgumentError(absl::StrCat("too many links in ", path));
    }
    const absl::string_view text(target, static_cast<size_t>(size));
    if (absl::StartsWith(text, "/")) done.clear();
    const std::vector<absl::string_view> elements = Elements(text);
    for (auto one = elements.rbegin(); one != elements.rend(); ++one) left.emplace_front(*one);
  }
  return done.empty() ? "/" : done;
}

absl::StatusOr<ContainerPathStat> StatContainerPath(absl::string_view path) {
  ContainerPathStat result;
  result.path = KeepTrailing(path);
  result.name = BaseName(result.path);
  if (lstat(result.path.c_str(), &result.info) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("Could not find the file ", path));
    }
    return ErrnoStatus(error, absl::StrCat("lstat ", path));
  }
  const UniqueFd parent(open(result.path.substr(0, result.path.rfind('/') + 1).c_str(),
                             O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (parent.ok() && result.path.size() > 1 && OnPseudoFileSystem(parent.get())) {
    return absl::NotFoundError(absl::StrCat("Could not find the file ", path));
  }
  if (S_ISLNK(result.info.st_mode)) {
    ASSIGN_OR_RETURN(result.link_target, EvaluateLinks(result.path));
  }
  return result;
}

}  // namespace slipway::agent
