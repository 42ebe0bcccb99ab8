#include "runtime-agent/domain/process_plan.h"

#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime-agent/domain/environment.h"

namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

constexpr uint64_t kQuiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// Namespaces, cgroup hierarchies, Docker's own files.
static_assert(kMaxBoundMounts + 48 <= kMaxPlanFds);

class ContainerPlan {
 public:
  ContainerPlan(const Definition& definition, RunBindings& bindings)
      : definition_(definition), bindings_(bindings) {}

  absl::StatusOr<Plan> Build() {
    Namespaces();
    Root();
    Mounts();
    Paths();
    Settings();
    Process();
    return plan_.Build();
  }

 private:
  bool HasOwnMount(absl::string_view target) const {
    return std::any_of(definition_.mounts.begin(), definition_.mounts.end(),
                       [target](const DefinedMount& mount) { return mount.target == target; });
  }

  void Join(const NamespaceMode& mode, UniqueFd fd, uint64_t flag, uint64_t* fresh) {
    if (mode.kind == Kind::kHost) return;
    if (fd.ok()) {
      plan_.JoinNamespace(plan_.AddFd(std::move(fd)), flag);
    } else {
      *fresh |= flag;
    }
  }

  void Namespaces() {
    uint64_t fresh = CLONE_NEWNS;
    Join(definition_.pid, std::move(bindings_.pid_namespace), CLONE_NEWPID, &fresh);
    Join(definition_.ipc, std::move(bindings_.ipc_namespace), CLONE_NEWIPC, &fresh);
    Join(definition_.uts, std::move(bindings_.uts_namespace), CLONE_NEWUTS, &fresh);
    if (bindings_.network_namespace.ok()) {
      plan_.JoinNamespace(plan_.AddFd(std::move(bindings_.network_namespace)), CLONE_NEWNET);
    }
    if (definition_.cgroup.kind != Kind::kHost) fresh |= CLONE_NEWCGROUP;
    plan_.NewNamespaces(fresh);
    for (UniqueFd& fd : bindings_.cgroup.self_join_fds) {
      plan_.JoinCgroup(plan_.AddFd(std::move(fd)));
    }
    if (bindings_.cgroup.clone_into_fd.ok()) {
      plan_.CloneIntoCgroup(plan_.AddFd(std::move(bindings_.cgroup.clone_into_fd)));
    }
    if (definition_.uts.kind == Kind::kPrivate) {
      plan_.Hostname(definition_.hostname);
      if (!definition_.domainname.empty()) plan_.Domainname(definition_.domainname);
    }
  }

  void Root() {
    plan_.Root(plan_.AddFd(std::move(bindings_.root)));
    const bool shared =
        std::any_of(definition_.mounts.begin(), definition_.mounts.end(), [](const auto& mount) {
          return mount.kind != DefinedMount::Kind::kTmpfs && (mount.propagation & MS_SHARED) != 0;
        });
    if (shared) plan_.RootPropagation(MS_SHARED);
    if (definition_.read_only_root) plan_.ReadonlyRoot();
  }

  // Docker's mounts, then those of the definition, which may replace them.
  void Mounts() {
    const uint64_t maybe_read_only = definition_.privileged ? 0 : MS_RDONLY;
    if (!HasOwnMount("/proc")) {
      plan_.Mount({.type = "proc", .source = "proc", .target = "/proc", .flags = kQuiet});
    }
    if (!HasOwnMount("/dev")) Devices();
    if (!HasOwnMount("/sys")) {
      plan_.Mount({.type = "sysfs",
                   .source = "sysfs",
                   .target = "/sys",
                   .flags = kQuiet | maybe_read_only});
      if (!HasOwnMount("/sys/fs/cgroup")) Cgroups(maybe_read_only);
    }
    for (size_t i = 0; i < definition_.mounts.size(); ++i) {
      OwnMount(definition_.mounts[i], i < bindings_.mounts.size() ? &bindings_.mounts[i] : nullptr);
    }
    // A mount over /etc would hide them.
    File(std::move(bindings_.resolv_file), "/etc/resolv.conf");
    File(std::move(bindings_.hostname_file), "/etc/hostname");
    File(std::move(bindings_.hosts_file), "/etc/hosts");
  }

  void Devices() {
    plan_.Mount({.type = "tmpfs",
                 .source = "tmpfs",
                 .target = "/dev",
                 .flags = MS_NOSUID | MS_STRICTATIME,
                 .data = "mode=755,size=65536k"});
    plan_.EnterFresh();
    plan_.Mount({.type = "devpts",
                 .source = "devpts",
                 .target = "/dev/pts",
                 .flags = MS_NOSUID | MS_NOEXEC,
                 .data = "newinstance,ptmxmode=0666,mode=0620,gid=5"});
    if (!HasOwnMount("/dev/mqueue")) MessageQueues();
    if (!HasOwnMount("/dev/shm")) SharedMemory();
    plan_.DefaultDevices();
    for (const DefinedDevice& device : definition_.host_devices) {
      static constexpr absl::string_view kDefault[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                                       "/dev/random", "/dev/urandom", "/dev/tty"};
      if (std::find(std::begin(kDefault), std::end(kDefault), device.path) != std::end(kDefault)) {
        continue;
      }
      const size_t slash = device.path.rfind('/');
      if (slash > 4) plan_.MakeDirectory(device.path.substr(0, slash), 0755);
      plan_.Device({.path = device.path,
                    .mode = device.mode,
                    .major = device.major,
                    .minor = device.minor,
                    .uid = device.uid,
                    .gid = device.gid});
    }
    plan_.LeaveFresh();
  }

  void MessageQueues() {
    if (bindings_.message_queues.ok()) {
      plan_.Bind({.tree = plan_.AddFd(std::move(bindings_.message_queues)),
                  .target = "/dev/mqueue",
                  .set_attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC});
      return;
    }
    plan_.Mount({.type = "mqueue", .source = "mqueue", .target = "/dev/mqueue", .flags = kQuiet});
  }

  void SharedMemory() {
    if (definition_.ipc.kind == Kind::kNone) return;
    if (bindings_.shared_memory.ok()) {
      plan_.Bind({.tree = plan_.AddFd(std::move(bindings_.shared_memory)), .target = "/dev/shm"});
      return;
    }
    plan_.Mount({.type = "tmpfs",
                 .source = "shm",
                 .target = "/dev/shm",
                 .flags = kQuiet,
                 .data = absl::StrCat("mode=1777,size=", definition_.shm_size_bytes)});
  }

  void Cgroups(uint64_t maybe_read_only) {
    const uint64_t flags = kQuiet | MS_RELATIME | maybe_read_only;
    for (const CgroupHierarchy& hierarchy : bindings_.hierarchies) {
      if (!hierarchy.directory.empty()) continue;
      plan_.Mount({.type = hierarchy.type,
                   .source = "cgroup",
                   .target = "/sys/fs/cgroup",
                   .flags = flags,
                   .data = hierarchy.options});
      return;
    }
    if (bindings_.hierarchies.empty()) return;
    const bool of_host = definition_.cgroup.kind == Kind::kHost;
    plan_.Mount({.type = "tmpfs",
                 .source = "tmpfs",
                 .target = "/sys/fs/cgroup",
                 .flags = kQuiet | MS_RELATIME,
                 .data = "mode=755"});
    plan_.EnterFresh();
    // Without a namespace of its own it sees its own groups all the same, as under runc.
    const uint64_t attributes = uint64_t{MOUNT_ATTR_NOSUID} | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                (maybe_read_only != 0 ? MOUNT_ATTR_RDONLY : 0);
    for (auto& [directory, tree] : bindings_.cgroup_trees) {
      plan_.Bind({.tree = plan_.AddFd(std::move(tree)),
                  .target = absl::StrCat("/sys/fs/cgroup/", directory),
                  .set_attributes = attributes});
    }
    for (const CgroupHierarchy& hierarchy : bindings_.hierarchies) {
      if (of_host) break;
      plan_.Mount({.type = hierarchy.type,
                   .source = "cgroup",
                   .target = absl::StrCat("/sys/fs/cgroup/", hierarchy.directory),
                   .flags = flags,
                   .data = hierarchy.options,
                   .optional = true});
    }
    plan_.LeaveFresh();
  }

  void File(UniqueFd file, const char* target) {
    if (!file.ok() || HasOwnMount(target)) return;
    plan_.Bind({.tree = plan_.AddFd(std::move(file)),
                .target = target,
                .is_file = true,
                .set_attributes = definition_.read_only_root ? uint64_t{MOUNT_ATTR_RDONLY} : 0});
  }

  void OwnMount(const DefinedMount& mount, BoundTree* bound) {
    if (mount.kind == DefinedMount::Kind::kTmpfs) {
      plan_.Mount({.type = "tmpfs",
                   .source = "tmpfs",
                   .target = mount.target,
                   .flags = mount.tmpfs_flags,
                   .data = mount.tmpfs_data,
                   .keep_mode = true,
                   // Private is what a new mount is.
                   .propagation = (mount.propagation & MS_PRIVATE) != 0 ? 0 : mount.propagation});
      return;
    }
    if (bound == nullptr) return;
    plan_.Bind({.tree = plan_.AddFd(std::move(bound->tree)),
                .target = mount.target,
                .is_file = bound->is_file,
                .recursive = mount.read_only_recursion == DefinedMount::Recursion::kWhole,
                .set_attributes = mount.read_only ? uint64_t{MOUNT_ATTR_RDONLY} : 0,
                .propagation = mount.propagation});
  }

  void Paths() {
    for (const std::string& path : definition_.read_only_paths) plan_.ReadonlyPath(path);
    for (const std::string& path : definition_.masked_paths) plan_.MaskPath(path);
  }

  void Settings() {
    // Docker since 20.10: unprivileged ping and low ports, where the network is the container's.
    const bool own_network =
        definition_.network.kind == Kind::kBridge || definition_.network.kind == Kind::kNone;
    const auto set = [this](absl::string_view key) {
      return std::any_of(definition_.sysctls.begin(), definition_.sysctls.end(),
                         [key](const auto& sysctl) { return sysctl.first == key; });
    };
    if (own_network && !set("net.ipv4.ip_unprivileged_port_start")) {
      plan_.Sysctl("net.ipv4.ip_unprivileged_port_start", "0", true);
    }
    if (own_network && !set("net.ipv4.ping_group_range")) {
      plan_.Sysctl("net.ipv4.ping_group_range", "0 2147483647", true);
    }
    for (const auto& [key, value] : definition_.sysctls) plan_.Sysctl(key, value);
    if (definition_.oom_score_adj != 0) plan_.OomScoreAdj(definition_.oom_score_adj);
    for (const DefinedRlimit& limit : definition_.rlimits) {
      plan_.Rlimit(limit.resource, limit.soft, limit.hard);
    }
  }

  void Process() {
    plan_.Umask(022);
    if (definition_.tty) {
      plan_.Terminal({.rows = definition_.rows, .columns = definition_.columns, .console = true});
    } else if (definition_.open_stdin) {
      plan_.OpenStdin();
    }
    plan_.Spool(
        plan_.AddFd(std::move(bindings_.spool)),
        {.offset = bindings_.spool_offset,
         .acked = bindings_.spool_offset,
         .capacity_bytes = definition_.spool_capacity_bytes,
         .policy = definition_.drop_when_full ? SpoolFullPolicy::kDrop : SpoolFullPolicy::kBlock});
    plan_.WorkingDirectory(definition_.working_directory, true);
    if (bindings_.user_namespace.ok()) {
      plan_.UserNamespace(plan_.AddFd(std::move(bindings_.user_namespace)), definition_.first_uid,
                          definition_.first_gid, definition_.first_uid + bindings_.user.uid);
    }
    plan_.User(bindings_.user.uid, bindings_.user.gid, bindings_.user.groups);
    const uint64_t granted = bindings_.user.uid == 0 ? definition_.capabilities : 0;
    plan_.Capabilities(
        {.bounding = definition_.capabilities, .effective = granted, .permitted = granted});
    if (definition_.no_new_privileges) plan_.NoNewPrivileges();
    if (bindings_.seccomp != nullptr && !bindings_.seccomp->empty()) {
      plan_.Seccomp(*bindings_.seccomp, 0);
    }
    std::vector<std::string> env = WithDefaults(definition_.env, bindings_.more_env);
    if (definition_.init) plan_.Init();
    AddHome(bindings_.user.home, env);
    plan_.Environment(env);
    plan_.Arguments(definition_.argv);
  }

  const Definition& definition_;
  RunBindings& bindings_;
  PlanBuilder plan_;
};

}  // namespace

std::vector<CgroupHierarchy> ParseCgroupHierarchies(absl::string_view mountinfo) {
  constexpr absl::string_view kRoot = "/sys/fs/cgroup";
  std::vector<CgroupHierarchy> hierarchies;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> before = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> after = absl::StrSplit(halves.second, ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    absl::string_view directory = before[4];
    const bool v2 = after[0] == "cgroup2";
    if ((!v2 && after[0] != "cgroup") || !absl::ConsumePrefix(&directory, kRoot)) continue;
    if (!directory.empty()) directory.remove_prefix(1);
    std::vector<absl::string_view> options;
    for (absl::string_view option : absl::StrSplit(after[2], ',')) {
      if (option == "rw" || option == "ro" || option == "xattr" || option == "nsdelegate" ||
          absl::StartsWith(option, "release_agent") || absl::StartsWith(option, "memory_")) {
        continue;
      }
      options.push_back(option);
    }
    hierarchies.push_back({std::string(directory), v2 ? "cgroup2" : "cgroup",
                           v2 ? std::string() : absl::StrJoin(options, ",")});
  }
  return hierarchies;
}

absl::StatusOr<Plan> CompileContainerPlan(const Definition& definition, RunBindings bindings) {
  return ContainerPlan(definition, bindings).Build();
}

absl::StatusOr<Plan> CompileExecPlan(const Definition& definition, const ExecCommand& command,
                                     ExecBindings bindings) {
  PlanBuilder plan;
  plan.JoinProcess(plan.AddFd(std::move(bindings.process)), bindings.namespaces);
  for (UniqueFd& fd : bindings.cgroup.self_join_fds) plan.JoinCgroup(plan.AddFd(std::move(fd)));
  if (bindings.cgroup.clone_into_fd.ok()) {
    plan.CloneIntoCgroup(plan.AddFd(std::move(bindings.cgroup.clone_into_fd)));
  }
  plan.Umask(022);
  if (command.tty) {
    plan.Terminal({.rows = static_cast<uint16_t>(std::min<uint32_t>(command.rows, 0xffff)),
                   .columns = static_cast<uint16_t>(std::min<uint32_t>(command.columns, 0xffff))});
  } else {
    const auto add = [&plan](UniqueFd fd) {
      return fd.ok() ? plan.AddFd(std::move(fd)) : kNoPlanFd;
    };
    const PlanFd in = add(std::move(bindings.standard_in));
    const PlanFd out = add(std::move(bindings.standard_out));
    const PlanFd error = add(std::move(bindings.standard_error));
    plan.PassStdio(in, out, error);
  }
  if (definition.oom_score_adj != 0) plan.OomScoreAdj(definition.oom_score_adj);
  for (const DefinedRlimit& limit : definition.rlimits) {
    plan.Rlimit(limit.resource, limit.soft, limit.hard);
  }
  plan.WorkingDirectory(command.working_directory.empty() ? "/" : command.working_directory, false);
  if (bindings.user_namespace.ok()) {
    plan.UserNamespace(plan.AddFd(std::move(bindings.user_namespace)), definition.first_uid,
                       definition.first_gid, definition.first_uid + bindings.user.uid);
  }
  plan.User(bindings.user.uid, bindings.user.gid, bindings.user.groups);
  const uint64_t granted = bindings.user.uid == 0 ? bindings.capabilities : 0;
  plan.Capabilities(
      {.bounding = bindings.capabilities, .effective = granted, .permitted = granted});
  if (definition.no_new_privileges) plan.NoNewPrivileges();
  if (bindings.seccomp != nullptr && !bindings.seccomp->empty()) plan.Seccomp(*bindings.seccomp, 0);
  std::vector<std::string> env = ExecEnvironment(command.env, command.tty);
  AddHome(bindings.user.home, env);
  plan.Environment(env);
  plan.Arguments(command.argv);
  return plan.Build();
}

}  // namespace slipway::agent
