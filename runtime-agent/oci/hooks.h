#ifndef RUNTIME_AGENT_OCI_HOOKS_H_
#define RUNTIME_AGENT_OCI_HOOKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "runtime-agent/oci/config.h"

namespace slipway::agent {

// Where hooks run: in the namespaces of a process, or (pidfd -1) in ours.
struct HookPlace {
  int pidfd = -1;
  uint64_t namespaces = 0;  // CLONE_NEW* to join
};

// Runs hooks one after the other with `state` on their standard input (runtime-spec, config.md,
// POSIX-platform Hooks). Stops at the first that fails, exceeds its time, or cannot be run; the
// error has the end of what it printed. This process must have one thread only.
absl::Status RunHooks(const std::vector<OciHook>& hooks, const std::string& state,
                      const HookPlace& place);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_HOOKS_H_
