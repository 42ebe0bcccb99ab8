#ifndef RUNTIME_AGENT_KERNEL_CGROUP_FILES_H_
#define RUNTIME_AGENT_KERNEL_CGROUP_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"

// The files of one cgroup hierarchy, and where the hierarchies are mounted. Thread-safe.
namespace slipway::agent {

struct CgroupMounts {
  struct V1 {
    std::string mount_point;
    std::vector<std::string> controllers;
  };
  std::vector<V1> v1;
  std::string v2;  // empty: not mounted
};

// Of /proc/self/mountinfo's content (proc_pid_mountinfo(5)). Where a hierarchy is mounted twice the
// first counts.
CgroupMounts ParseCgroupMounts(absl::string_view mountinfo);
absl::StatusOr<CgroupMounts> FindCgroupMounts();

// One path component, not hidden, or an absolute path of them.
absl::Status ValidateGroupName(const std::string& name);

// The groups of ours in one hierarchy: directories below <mount point>/<prefix>.
class GroupDirectory {
 public:
  // Makes <root>/<prefix>.
  static absl::StatusOr<GroupDirectory> Create(const std::string& root, const std::string& prefix);

  const std::string& path() const { return path_; }
  // Makes what is missing of the directories above a group that is named by an absolute path, and
  // calls `prepare` with each of them, from the top.
  absl::Status MakeParents(
      const std::string& group,
      const std::function<absl::Status(const std::string& parent)>& prepare) const;
  // Replaces a left-over group; AlreadyExists when it has processes.
  absl::Status Make(const std::string& group) const;
  // Repeated, subgroups included, while dying processes keep it busy: at most 1 s. OK when there is
  // none.
  absl::Status Remove(const std::string& group) const;
  bool Exists(const std::string& group) const;
  absl::StatusOr<std::vector<std::string>> List() const;

  // An empty `group` is the parent itself.
  absl::StatusOr<UniqueFd> Open(const std::string& group, const char* file, int flags) const;
  absl::StatusOr<std::string> Read(const std::string& group, const char* file) const;
  absl::Status Write(const std::string& group, const char* file, absl::string_view value) const;
  absl::StatusOr<uint64_t> ReadNumber(const std::string& group, const char* file) const;
  bool Has(const std::string& group, const char* file) const;

 private:
  GroupDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  std::string At(const std::string& group) const;
  std::string Relative(const std::string& group, const char* file) const;

  UniqueFd fd_;
  std::string path_;
};

// "max" and v1's huge page counter are UINT64_MAX; zero where there is no number.
uint64_t ParseCgroupNumber(absl::string_view text);
// Lines "name number".
std::vector<std::pair<std::string, uint64_t>> ParseFlatKeyed(absl::string_view text);
uint64_t FindKey(const std::vector<std::pair<std::string, uint64_t>>& fields,
                 absl::string_view key);
std::vector<pid_t> ParsePids(absl::string_view text);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_CGROUP_FILES_H_
