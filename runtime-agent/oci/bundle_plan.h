#ifndef RUNTIME_AGENT_OCI_BUNDLE_PLAN_H_
#define RUNTIME_AGENT_OCI_BUNDLE_PLAN_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/oci/config.h"
#include "runtime-agent/supervisor/plan_builder.h"

// A bundle compiled into the same plan as the agent's own containers.
namespace slipway::agent {

struct BundleContext {
  std::string bundle;            // absolute
  CgroupJoin cgroup;             // of the container's group
  std::string cgroup_path;       // of the group in every hierarchy, "/parent/name"
  UniqueFd standard_streams[3];  // not ok(): /dev/null
};

absl::StatusOr<Plan> CompileBundle(const OciConfig& config, BundleContext context);

struct ExecContext {
  UniqueFd process;         // pidfd of the container's first process
  UniqueFd root;            // its root directory
  uint64_t namespaces = 0;  // CLONE_NEW* to join
  CgroupJoin cgroup;
  UniqueFd standard_streams[3];
};

// `seccomp`: of the container's config.
absl::StatusOr<Plan> CompileBundleExec(const OciProcess& process, const std::string& seccomp,
                                       ExecContext context);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_BUNDLE_PLAN_H_
