#include "runtime-agent/oci/bundle_plan.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/environment.h"
#include "runtime-agent/domain/process_plan.h"
#include "runtime-agent/domain/user_database.h"
#include "runtime-agent/kernel/mount.h"
#include "runtime-agent/oci/mount_options.h"
#include "runtime-agent/seccomp/compiler.h"

namespace slipway::agent {
namespace {

constexpr char kCgroupRoot[] = "/sys/fs/cgroup";

void AddCgroup(CgroupJoin cgroup, PlanBuilder& plan) {
  for (UniqueFd& fd : cgroup.self_join_fds) plan.JoinCgroup(plan.AddFd(std::move(fd)));
  if (cgroup.clone_into_fd.ok()) {
    plan.CloneIntoCgroup(plan.AddFd(std::move(cgroup.clone_into_fd)));
  }
}

// What a process has of its own, first process or further one. `root`: of its file system, where
// the home directory of its user is looked up.
absl::Status AddProcess(const OciProcess& process, const std::string& seccomp, bool first, int root,
                        UniqueFd streams[3], PlanBuilder& plan) {
  if (process.terminal) {
    plan.Terminal({.rows = process.rows, .columns = process.columns, .console = first});
  } else {
    PlanFd ends[3];
    for (int i = 0; i < 3; ++i) {
      ends[i] = streams[i].ok() ? plan.AddFd(std::move(streams[i])) : kNoPlanFd;
    }
    plan.PassStdio(ends[0], ends[1], ends[2]);
  }
  plan.Umask(process.umask.value_or(022));
  if (process.oom_score_adj.has_value()) plan.OomScoreAdj(*process.oom_score_adj);
  // Engines ask for more than a host without CAP_SYS_RESOURCE has: it gives what it can.
  for (const OciRlimit& limit : process.rlimits) {
    plan.Rlimit(limit.resource, limit.soft, limit.hard, /*clamp=*/true);
  }
  plan.WorkingDirectory(process.cwd, /*create=*/first);
  plan.User(process.uid, process.gid, process.groups);
  const OciCapabilities& sets = process.capabilities;
  plan.Capabilities(
      {.bounding = sets.bounding,
       .effective = sets.effective,
       .permitted = sets.permitted,
       .inheritable = sets.inheritable,
       // The kernel wants them permitted and inheritable; others leave the rest out as well.
       .ambient = sets.ambient & sets.inheritable & sets.permitted});
  if (process.no_new_privileges) plan.NoNewPrivileges();
  if (!seccomp.empty()) {
    LibseccompCompiler compiler;
    ASSIGN_OR_RETURN(const auto program, compiler.Compile(seccomp, sets.bounding));
    if (!program->empty()) plan.Seccomp(*program, 0);
  }
  std::vector<std::string> env = process.env;
  ASSIGN_OR_RETURN(const UserDatabase users, ReadUserDatabase(root));
  ASSIGN_OR_RETURN(const ProcessUser user, LookUpUser(users, absl::StrCat(process.uid), {}));
  AddHome(user.home, env);
  plan.Environment(env);
  plan.Arguments(process.args);
  return absl::OkStatus();
}

class BundlePlan {
 public:
  BundlePlan(const OciConfig& config, BundleContext& context)
      : config_(config), context_(context) {}

  absl::StatusOr<Plan> Build() {
    RETURN_IF_ERROR(Namespaces());
    AddCgroup(std::move(context_.cgroup), plan_);
    RETURN_IF_ERROR(Root());
    for (const OciMount& mount : config_.mounts) RETURN_IF_ERROR(AddMount(mount));
    RETURN_IF_ERROR(Devices());
    for (const std::string& path : config_.read_only_paths) plan_.ReadonlyPath(path);
    for (const std::string& path : config_.masked_paths) plan_.MaskPath(path);
    for (const auto& [key, value] : config_.sysctls) plan_.Sysctl(key, value);
    RETURN_IF_ERROR(AddProcess(config_.process, config_.seccomp, /*first=*/true, root_.get(),
                               context_.standard_streams, plan_));
    return plan_.Build();
  }

 private:
  absl::Status Namespaces() {
    uint64_t fresh = 0;
    for (const OciNamespace& entry : config_.namespaces) {
      if (entry.path.empty()) {
        fresh |= entry.flag;
        continue;
      }
      ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(entry.path, O_RDONLY));
      plan_.JoinNamespace(plan_.AddFd(std::move(fd)), entry.flag);
    }
    plan_.NewNamespaces(fresh);
    if ((fresh & CLONE_NEWNET) != 0) plan_.LoopbackUp();
    if (!config_.hostname.empty()) plan_.Hostname(config_.hostname);
    if (!config_.domainname.empty()) plan_.Domainname(config_.domainname);
    return absl::OkStatus();
  }

  absl::Status Root() {
    const std::string path = absl::StartsWith(config_.root, "/")
                                 ? config_.root
                                 : absl::StrCat(context_.bundle, "/", config_.root);
    ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, path, /*recursive=*/true));
    // A root that is shared with the host cannot be pivoted to.
    const bool slave = (config_.root_propagation & MS_SLAVE) != 0;
    RETURN_IF_ERROR(SetMountAttributes(
        tree.fd(), "", {.propagation = slave ? uint64_t{MS_SLAVE} : uint64_t{MS_PRIVATE}}, true));
    ASSIGN_OR_RETURN(root_, OpenFile(path, O_PATH | O_DIRECTORY));
    plan_.Root(plan_.AddFd(tree.Release()));
    if (config_.root_propagation != 0) {
      // Never shared with the host as a whole: pivoting forbids that. Single mounts may be.
      const uint64_t kind = config_.root_propagation & ~uint64_t{MS_REC};
      const bool apart = kind == MS_PRIVATE || kind == MS_UNBINDABLE;
      plan_.SetHostPropagation((apart ? uint64_t{MS_PRIVATE} : uint64_t{MS_SLAVE}) | MS_REC);
      if (kind == MS_SHARED || kind == MS_UNBINDABLE) {
        plan_.RootPropagation(config_.root_propagation);
      }
    }
    if (config_.read_only_root) plan_.ReadonlyRoot();
    return absl::OkStatus();
  }

  absl::Status AddMount(const OciMount& mount) {
    MountWords words = ParseMountOptions(mount.options);
    if (words.bind || mount.type == "bind") return Bind(mount, words);
    if (mount.type == "cgroup" || mount.type == "cgroup2") return Cgroups(mount, words);
    plan_.Mount({.type = mount.type,
                 .source = mount.source,
                 .target = mount.destination,
                 .flags = words.flags,
                 .data = words.data,
                 .copy_up = words.copy_up});
    return absl::OkStatus();
  }

  absl::Status Bind(const OciMount& mount, const MountWords& words) {
    const std::string source = absl::StartsWith(mount.source, "/")
                                   ? mount.source
                                   : absl::StrCat(context_.bundle, "/", mount.source);
    return BindHost(source, mount.destination, words);
  }

  absl::Status BindHost(const std::string& source, const std::string& target,
                        const MountWords& words) {
    struct stat info;
    if (stat(source.c_str(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", source));
    ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, source, words.recursive));
    const uint64_t propagation =
        words.propagation == 0 ? uint64_t{MS_PRIVATE | MS_REC} : words.propagation;
    RETURN_IF_ERROR(SetMountAttributes(tree.fd(), "",
                                       {.propagation = propagation & ~uint64_t{MS_REC}},
                                       (propagation & MS_REC) != 0));
    // The attributes are those of the tree's top, and of what is below only where the words say so.
    plan_.Bind({.tree = plan_.AddFd(tree.Release()),
                .target = target,
                .is_file = !S_ISDIR(info.st_mode),
                .recursive = words.recursive_attributes,
                .set_attributes = words.set,
                .clear_attributes = words.clear});
    return absl::OkStatus();
  }

  // A container with a cgroup namespace mounts the hierarchies; one without sees its own groups
  // and nothing above them.
  absl::Status Cgroups(const OciMount& mount, const MountWords& words) {
    ASSIGN_OR_RETURN(const std::string mountinfo, ReadFile("/proc/self/mountinfo", 64 << 20));
    const bool own_namespace = config_.Namespace(CLONE_NEWCGROUP) != nullptr;
    const std::vector<CgroupHierarchy> hierarchies = ParseCgroupHierarchies(mountinfo);
    const bool unified = std::any_of(hierarchies.begin(), hierarchies.end(),
                                     [](const auto& each) { return each.directory.empty(); });
    if (unified) {
      if (!own_namespace) {
        return BindHost(absl::StrCat(kCgroupRoot, context_.cgroup_path), mount.destination, words);
      }
      plan_.Mount({.type = "cgroup2",
                   .source = "cgroup",
                   .target = mount.destination,
                   .flags = words.flags});
      return absl::OkStatus();
    }
    plan_.Mount({.type = "tmpfs",
                 .source = "tmpfs",
                 .target = mount.destination,
                 .flags = words.flags & ~uint64_t{MS_RDONLY},
                 .data = "mode=755"});
    for (const CgroupHierarchy& hierarchy : hierarchies) {
      RETURN_IF_ERROR(OneHierarchy(hierarchy, mount.destination, words, own_namespace));
    }
    return absl::OkStatus();
  }

  absl::Status OneHierarchy(const CgroupHierarchy& hierarchy, const std::string& destination,
                            MountWords words, bool own_namespace) {
    const std::string target = absl::StrCat(destination, "/", hierarchy.directory);
    const std::string source =
        absl::StrCat(kCgroupRoot, "/", hierarchy.directory, context_.cgroup_path);
    struct stat info;
    if (own_namespace || stat(source.c_str(), &info) != 0) {
      if (!own_namespace) return absl::OkStatus();  // a hierarchy the container has no group in
      plan_.Mount({.type = hierarchy.type,
                   .source = "cgroup",
                   .target = target,
                   .flags = words.flags,
                   .data = hierarchy.options,
                   .optional = true});
    } else {
      words.recursive = words.recursive_attributes = false;
      RETURN_IF_ERROR(BindHost(source, target, words));
    }
    const std::vector<std::string> controllers = absl::StrSplit(hierarchy.directory, ',');
    for (size_t i = 0; controllers.size() > 1 && i < controllers.size(); ++i) {
      plan_.Symlink(hierarchy.directory, absl::StrCat(destination, "/", controllers[i]));
    }
    return absl::OkStatus();
  }

  absl::Status Devices() {
    const auto is_dev = [](const OciMount& mount) { return mount.destination == "/dev"; };
    const auto dev = std::find_if(config_.mounts.begin(), config_.mounts.end(), is_dev);
    // The host's /dev bound into the container has its own.
    if (dev != config_.mounts.end() && ParseMountOptions(dev->options).bind) {
      return absl::OkStatus();
    }
    plan_.DefaultDevices();
    for (const OciDevice& device : config_.devices) {
      plan_.Device({.path = device.path,
                    .mode = device.mode,
                    .major = device.major,
                    .minor = device.minor,
                    .uid = device.uid,
                    .gid = device.gid});
    }
    return absl::OkStatus();
  }

  const OciConfig& config_;
  BundleContext& context_;
  UniqueFd root_;
  PlanBuilder plan_;
};

}  // namespace

absl::StatusOr<Plan> CompileBundle(const OciConfig& config, BundleContext context) {
  return BundlePlan(config, context).Build();
}

absl::StatusOr<Plan> CompileBundleExec(const OciProcess& process, const std::string& seccomp,
                                       ExecContext context) {
  PlanBuilder plan;
  plan.JoinProcess(plan.AddFd(std::move(context.process)), context.namespaces);
  AddCgroup(std::move(context.cgroup), plan);
  RETURN_IF_ERROR(AddProcess(process, seccomp, /*first=*/false, context.root.get(),
                             context.standard_streams, plan));
  return plan.Build();
}

}  // namespace slipway::agent
