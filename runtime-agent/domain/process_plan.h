#ifndef RUNTIME_AGENT_DOMAIN_PROCESS_PLAN_H_
#define RUNTIME_AGENT_DOMAIN_PROCESS_PLAN_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/domain/spec.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/supervisor/plan_builder.h"

namespace slipway::agent {

// A v1 hierarchy as it is mounted on the host, or the v2 one.
struct CgroupHierarchy {
  std::string directory;  // below /sys/fs/cgroup; empty: that is itself the v2 hierarchy
  std::string type;       // "cgroup" or "cgroup2"
  std::string options;    // "cpu,cpuacct", "name=systemd"
};

// From the text of /proc/self/mountinfo.
std::vector<CgroupHierarchy> ParseCgroupHierarchies(absl::string_view mountinfo);

struct BoundTree {
  UniqueFd tree;  // detached; not ok() where the mount needs none
  bool is_file = false;
};

// What one run of a container binds its definition to.
struct RunBindings {
  UniqueFd root;
  UniqueFd network_namespace;  // not ok(): the host's
  UniqueFd pid_namespace;      // of the kContainer modes
  UniqueFd ipc_namespace;
  UniqueFd uts_namespace;
  UniqueFd shared_memory;   // /dev/shm of another container, or the host's
  UniqueFd message_queues;  // the host's /dev/mqueue
  UniqueFd hosts_file;
  UniqueFd resolv_file;
  UniqueFd hostname_file;
  std::vector<BoundTree> mounts;  // as Definition::mounts
  CgroupJoin cgroup;
  std::vector<CgroupHierarchy> hierarchies;
  // On v1 with the host's cgroup namespace: its own group in each hierarchy, by directory.
  std::vector<std::pair<std::string, UniqueFd>> cgroup_trees;
  UniqueFd spool;
  uint64_t spool_offset = 0;
  std::shared_ptr<const std::string> seccomp;
  ProcessUser user;
  UniqueFd user_namespace;            // of remapped users
  std::vector<std::string> more_env;  // where the definition has none of that name
};

// The plan of a container's process. InvalidArgument where the builder finds something missing.
absl::StatusOr<Plan> CompileContainerPlan(const Definition& definition, RunBindings bindings);

struct ExecBindings {
  UniqueFd process;         // pidfd of the container's process
  uint64_t namespaces = 0;  // CLONE_NEW* that differ from the host's
  UniqueFd standard_in;     // not ok(): /dev/null
  UniqueFd standard_out;
  UniqueFd standard_error;
  CgroupJoin cgroup;
  std::shared_ptr<const std::string> seccomp;
  ProcessUser user;
  uint64_t capabilities = 0;
  UniqueFd user_namespace;  // of remapped users
};

// The plan of a further process in a running container.
absl::StatusOr<Plan> CompileExecPlan(const Definition& definition, const ExecCommand& command,
                                     ExecBindings bindings);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_PROCESS_PLAN_H_
