#ifndef RUNTIME_AGENT_SUPERVISOR_PLAN_BUILDER_H_
#define RUNTIME_AGENT_SUPERVISOR_PLAN_BUILDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/supervisor/plan.h"
#include "runtime-agent/supervisor/status_page.h"

// Compiles what a process needs into a plan. The calls may come in any order: steps are sorted into
// the order of plan.h; mounts, devices, links and directories keep the order in which they were
// added among themselves. Not thread-safe.
namespace slipway::agent {

// A descriptor of a plan, by position.
using PlanFd = int32_t;
inline constexpr PlanFd kNoPlanFd = -1;

// A finished plan. `bytes` hold no descriptor numbers: they may be made at create time, kept, and
// sent later with `fds` filled in. `fds[i]` is what AddFd() returned i for.
struct Plan {
  std::string bytes;
  std::vector<UniqueFd> fds;
};

// For tests: the process fails at `step` with EIO instead of doing it.
void SetFailingStep(Plan& plan, PlanStep step);

struct FilesystemMount {
  std::string type;    // "proc", "tmpfs", "cgroup", …
  std::string source;  // shown in /proc/mounts
  std::string target;  // inside the container
  uint64_t flags = 0;  // MS_*
  std::string data;    // "mode=755,size=65536k"
  bool copy_up = false;
  bool keep_mode = false;  // of a directory that is there
  bool optional = false;
  uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE or MS_SHARED; 0 to leave it
};

struct BindMount {
  PlanFd tree = kNoPlanFd;  // open_tree(…, OPEN_TREE_CLONE [| AT_RECURSIVE])
  std::string target;
  bool is_file = false;
  bool recursive = false;       // attributes for every mount below too
  uint64_t set_attributes = 0;  // MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC …
  uint64_t clear_attributes = 0;
  // MS_PRIVATE, MS_SLAVE or MS_SHARED, with MS_REC for every mount below too; 0 to leave it.
  uint64_t propagation = 0;
  bool optional = false;
};

struct DeviceNode {
  std::string path;
  uint32_t mode = 0;  // S_IFCHR | 0666
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct CapabilitySets {  // bit n is capability n
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;
};

struct TerminalOptions {
  uint16_t rows = 0;
  uint16_t columns = 0;
  bool console = false;  // also as /dev/console (containers; not for exec)
};

struct SpoolOptions {
  uint64_t offset = 0;  // where this run of the container begins in the file
  uint64_t acked = 0;
  uint64_t capacity_bytes = 64 << 20;  // at least 64 KiB
  SpoolFullPolicy policy = SpoolFullPolicy::kBlock;
};

class PlanBuilder {
 public:
  // Takes a descriptor that the plan refers to. An invalid one reserves the position, to be filled
  // in Plan::fds before the plan is sent.
  PlanFd AddFd(UniqueFd fd = UniqueFd());

  // --- Namespaces and cgroups ---
  // CLONE_NEW* for the new process. CLONE_NEWCGROUP is made after the cgroups were joined.
  void NewNamespaces(uint64_t clone_flags);
  // Joins the namespace behind a /proc/<pid>/ns/* or stored descriptor. CLONE_NEWPID brings a
  // second clone.
  void JoinNamespace(PlanFd ns, uint64_t clone_flag);
  // For exec: joins those namespaces of the process behind a pidfd (Linux 5.8). Leave out the ones
  // it shares with the host.
  void JoinProcess(PlanFd pidfd, uint64_t clone_flags);
  void CloneIntoCgroup(PlanFd v2_directory);
  void JoinCgroup(PlanFd cgroup_procs);

  // --- File systems ---
  // Propagation of the host's tree in the new mount namespace, before anything is mounted.
  // Default: MS_REC | MS_PRIVATE when there is a root.
  void SetHostPropagation(uint64_t flags);
  // The detached mount (fsmount, open_tree) that becomes "/". Needs CLONE_NEWNS.
  void Root(PlanFd mount);
  void ReadonlyRoot();
  void RootPropagation(uint64_t flags);
  void Mount(const FilesystemMount& mount);
  void Bind(const BindMount& bind);
  void Device(const DeviceNode& device);
  void Symlink(absl::string_view points_to, absl::string_view path);
  void MakeDirectory(absl::string_view path, uint32_t mode);
  // null, zero, full, random, urandom, tty and the links fd, stdin, stdout, stderr, core, ptmx.
  void DefaultDevices();
  // Until LeaveFresh() entries of the file system that was mounted last, which nobody but this plan
  // has filled, are made by their names alone: nothing has to be looked up.
  void EnterFresh();
  void LeaveFresh();
  void MaskPath(absl::string_view path);
  void ReadonlyPath(absl::string_view path);

  // --- Kernel settings ---
  void LoopbackUp();
  void Hostname(absl::string_view name);
  void Domainname(absl::string_view name);
  // `key` with dots or slashes, relative to /proc/sys. Needs a /proc mount.
  void Sysctl(absl::string_view key, absl::string_view value, bool optional = false);
  void OomScoreAdj(int value);
  // `clamp`: what may not be raised (no CAP_SYS_RESOURCE) is set as near as possible instead.
  void Rlimit(int resource, uint64_t soft, uint64_t hard, bool clamp = false);
  void SessionKeyring(absl::string_view name);

  // --- Standard streams: by default stdout and stderr pipes into the spool, stdin /dev/null ---
  void OpenStdin();
  void Terminal(const TerminalOptions& options);
  // Exec: descriptors used as they are; kNoPlanFd is /dev/null.
  void PassStdio(PlanFd in, PlanFd out, PlanFd err);
  void Spool(PlanFd file, const SpoolOptions& options);

  // --- The process ---
  void Umask(uint32_t mask);
  void WorkingDirectory(absl::string_view path, bool create);
  // Also makes the standard streams the user's own, as runc does.
  void User(uint32_t uid, uint32_t gid, absl::Span<const uint32_t> groups);
  // The process's ids become those of the user namespace `ns`, in which uid and gid 0 are
  // `root_uid` and `root_gid` of the host and the process's own is `own_uid` of the host. Its other
  // namespaces and its mounts stay the host's root's.
  void UserNamespace(PlanFd ns, uint32_t root_uid, uint32_t root_gid, uint32_t own_uid);
  void Capabilities(const CapabilitySets& sets);
  void NoNewPrivileges();
  // `program`: struct sock_filter[] as bytes.
  void Seccomp(absl::string_view program, uint64_t filter_flags);
  void Environment(const std::vector<std::string>& env);
  // args[0] is searched along PATH of the environment unless it contains a slash. `program`: the
  // file to execute instead of looking for one; statically linked, for nothing of the root is its.
  void Arguments(const std::vector<std::string>& args, PlanFd program = kNoPlanFd);
  // A small process in front of the program, pid 1 where the pid namespace is new.
  void Init();

  // InvalidArgument names what is missing, contradictory or too large. Leaves the builder empty.
  absl::StatusOr<Plan> Build();

 private:
  struct Step {
    PlanStepRecord record;
    std::string text[4];
    std::string blob;
  };
  Step& Add(PlanStep step);
  void AddStrings(PlanStep step, const std::vector<std::string>& strings);
  absl::Status Check() const;
  bool Has(PlanStep step) const;
  // kPlanHere where `path` is an entry of the directory that was entered.
  uint16_t Here(absl::string_view path) const;

  PlanHeader header_ = EmptyHeader();
  std::vector<Step> steps_;
  std::vector<UniqueFd> fds_;
  absl::Status error_;
  std::string fresh_;  // the directory that was entered, or empty

  static PlanHeader EmptyHeader();
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_PLAN_BUILDER_H_
