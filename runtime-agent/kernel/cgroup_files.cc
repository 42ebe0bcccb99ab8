#include "runtime-agent/kernel/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr size_t kFileLimitBytes = 4 << 20;
constexpr absl::Duration kRemoveTimeout = absl::Seconds(1);
constexpr int kMaxSubgroupDepth = 16;
// PAGE_COUNTER_MAX in bytes, which v1 shows for "no limit".
constexpr uint64_t kV1Unlimited = 0x7ffffffffffff000;

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

absl::StatusOr<std::vector<std::string>> Subdirectories(int parent_fd, const std::string& name) {
  int fd = openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("open cgroup ", name));
  Directory dir(fdopendir(fd), closedir);
  std::vector<std::string> names;
  while (dirent* entry = readdir(dir.get())) {
    absl::string_view entry_name = entry->d_name;
    if (entry->d_type == DT_DIR && entry_name != "." && entry_name != "..") {
      names.emplace_back(entry_name);
    }
  }
  return names;
}

// One try; the errno of the last failure.
int RemoveTree(int parent_fd, const std::string& name, int depth) {
  if (unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  int error = errno;
  if ((error != EBUSY && error != ENOTEMPTY) || depth >= kMaxSubgroupDepth) return error;
  // A container with a cgroup namespace of its own may have made groups inside.
  absl::StatusOr<std::vector<std::string>> children = Subdirectories(parent_fd, name);
  if (!children.ok() || children->empty()) return error;
  for (const std::string& child : *children) {
    int child_error = RemoveTree(parent_fd, absl::StrCat(name, "/", child), depth + 1);
    if (child_error != 0) return child_error;
  }
  return unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace

CgroupMounts ParseCgroupMounts(absl::string_view mountinfo) {
  CgroupMounts mounts;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    // id parent dev root mount-point options [tags...] - type source super-options
    std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    std::vector<absl::string_view> left = absl::StrSplit(halves.first, ' ');
    std::vector<absl::string_view> right = absl::StrSplit(halves.second, ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    if (right[0] == "cgroup2" && mounts.v2.empty()) mounts.v2 = std::string(left[4]);
    if (right[0] != "cgroup") continue;
    CgroupMounts::V1 v1{std::string(left[4]), absl::StrSplit(right[2], ',')};
    bool known = false;
    for (const CgroupMounts::V1& other : mounts.v1) {
      known = known || other.controllers == v1.controllers;
    }
    if (!known) mounts.v1.push_back(std::move(v1));
  }
  return mounts;
}

absl::StatusOr<CgroupMounts> FindCgroupMounts() {
  ASSIGN_OR_RETURN(std::string mountinfo, ReadFile("/proc/self/mountinfo"));
  return ParseCgroupMounts(mountinfo);
}

absl::Status ValidateGroupName(const std::string& name) {
  const bool is_path = !name.empty() && name[0] == '/';
  bool good = name.size() <= 1000;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(is_path ? name.substr(1) : name, '/'))) {
    good = good && !part.empty() && part.size() <= 200 && part[0] != '.' &&
           part.find_first_of(std::string("\n\0", 2)) == std::string::npos;
  }
  if (!good || (!is_path && absl::StrContains(name, '/'))) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no name for a cgroup"));
  }
  return absl::OkStatus();
}

absl::StatusOr<GroupDirectory> GroupDirectory::Create(const std::string& root,
                                                      const std::string& prefix) {
  RETURN_IF_ERROR(ValidateGroupName(prefix));
  std::string path = absl::StrCat(root, "/", prefix);
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make cgroup ", path));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  return GroupDirectory(std::move(fd), std::move(path));
}

std::string GroupDirectory::At(const std::string& group) const {
  // Our directory is right below the root of its hierarchy.
  return !group.empty() && group[0] == '/' ? absl::StrCat("..", group) : group;
}

std::string GroupDirectory::Relative(const std::string& group, const char* file) const {
  return group.empty() ? std::string(file) : absl::StrCat(At(group), "/", file);
}

absl::Status GroupDirectory::MakeParents(
    const std::string& group,
    const std::function<absl::Status(const std::string& parent)>& prepare) const {
  if (group.empty() || group[0] != '/') return absl::OkStatus();
  for (size_t slash = group.find('/', 1); slash != std::string::npos;
       slash = group.find('/', slash + 1)) {
    const std::string parent = group.substr(0, slash);
    if (mkdirat(fd_.get(), At(parent).c_str(), 0755) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("make cgroup ", parent));
    }
    RETURN_IF_ERROR(prepare(parent));
  }
  return absl::OkStatus();
}

absl::Status GroupDirectory::Make(const std::string& group) const {
  const std::string at = At(group);
  if (mkdirat(fd_.get(), at.c_str(), 0755) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    ASSIGN_OR_RETURN(std::string procs, Read(group, "cgroup.procs"));
    if (!procs.empty()) {
      return absl::AlreadyExistsError(
          absl::StrCat("make cgroup ", path_, "/", group, ": it exists and has processes"));
    }
    RETURN_IF_ERROR(Remove(group));
    if (mkdirat(fd_.get(), at.c_str(), 0755) == 0) return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("make cgroup ", path_, "/", group));
}

absl::Status GroupDirectory::Remove(const std::string& group) const {
  absl::Time deadline = absl::Now() + kRemoveTimeout;
  absl::Duration pause = absl::Microseconds(100);
  for (;;) {
    int error = RemoveTree(fd_.get(), At(group), 0);
    if (error == 0) return absl::OkStatus();
    std::string what = absl::StrCat("remove cgroup ", path_, "/", group);
    if (error != EBUSY && error != ENOTEMPTY) return ErrnoStatus(error, what);
    // An exiting process leaves its group some time after its parent was told; no event says when
    // on v1.
    if (absl::Now() >= deadline)
      return absl::UnavailableError(absl::StrCat(what, ": still in use"));
    absl::SleepFor(pause);
    pause = std::min(pause * 2, absl::Milliseconds(10));
  }
}

bool GroupDirectory::Exists(const std::string& group) const {
  return faccessat(fd_.get(), At(group).c_str(), F_OK, 0) == 0;
}

absl::StatusOr<std::vector<std::string>> GroupDirectory::List() const {
  return Subdirectories(fd_.get(), ".");
}

absl::StatusOr<UniqueFd> GroupDirectory::Open(const std::string& group, const char* file,
                                              int flags) const {
  int fd = openat(fd_.get(), Relative(group, file).c_str(), flags | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("open ", path_, "/", Relative(group, file)));
  return UniqueFd(fd);
}

absl::StatusOr<std::string> GroupDirectory::Read(const std::string& group, const char* file) const {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(group, file, O_RDONLY));
  std::string content;
  char buffer[16384];
  for (;;) {
    ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read ", path_, "/", Relative(group, file)));
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > kFileLimitBytes) {
      return absl::ResourceExhaustedError(absl::StrCat("read ", path_, "/", group, "/", file));
    }
  }
}

absl::Status GroupDirectory::Write(const std::string& group, const char* file,
                                   absl::string_view value) const {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(group, file, O_WRONLY | O_TRUNC));
  if (write(fd.get(), value.data(), value.size()) < 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("write '", value, "' to ", path_, "/", Relative(group, file)));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> GroupDirectory::ReadNumber(const std::string& group,
                                                    const char* file) const {
  ASSIGN_OR_RETURN(std::string text, Read(group, file));
  return ParseCgroupNumber(text);
}

bool GroupDirectory::Has(const std::string& group, const char* file) const {
  return faccessat(fd_.get(), Relative(group, file).c_str(), F_OK, 0) == 0;
}

uint64_t ParseCgroupNumber(absl::string_view text) {
  text = absl::StripSuffix(text, "\n");
  if (text == "max") return std::numeric_limits<uint64_t>::max();
  uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return 0;
  return value >= kV1Unlimited ? std::numeric_limits<uint64_t>::max() : value;
}

std::vector<std::pair<std::string, uint64_t>> ParseFlatKeyed(absl::string_view text) {
  std::vector<std::pair<std::string, uint64_t>> fields;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    uint64_t value = 0;
    if (absl::SimpleAtoi(field.second, &value)) fields.emplace_back(field.first, value);
  }
  return fields;
}

uint64_t FindKey(const std::vector<std::pair<std::string, uint64_t>>& fields,
                 absl::string_view key) {
  for (const auto& [name, value] : fields) {
    if (name == key) return value;
  }
  return 0;
}

std::vector<pid_t> ParsePids(absl::string_view text) {
  std::vector<pid_t> pids;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    int pid = 0;
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  return pids;
}

}  // namespace slipway::agent
