#ifndef RUNTIME_AGENT_OCI_LAUNCH_H_
#define RUNTIME_AGENT_OCI_LAUNCH_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/supervisor/plan_builder.h"

// Runs a plan as a child of this process, which must have one thread only: the supervisor's part,
// for a runtime that has none.
namespace slipway::agent {

struct LaunchedProcess {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd terminal;  // the master, where the plan has a terminal
};

struct LaunchOptions {
  // An existing empty directory: where the root is attached for a moment, in the child's own mount
  // namespace.
  std::string staging;
  // A listening socket: the process is held before its exec until somebody connects (GoOn).
  // Without one it goes on to its exec.
  int hold = -1;
  // Called when the process and its namespaces are there and nothing is mounted; a failure ends it.
  std::function<absl::Status(const LaunchedProcess&)> at_gate;
};

// Returns when the process is held, or at its exec. After a failure it is gone. Errors are those of
// SupervisorClient::Spawn, with the step and errno in the words.
absl::StatusOr<LaunchedProcess> Launch(Plan plan, const LaunchOptions& options);

// Lets a held process go on to its exec; `connection` is connected to its socket.
absl::Status GoOn(int connection);

// Waits for the end of a child; its exit code as shells count.
int AwaitEnd(pid_t pid);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_LAUNCH_H_
