#ifndef RUNTIME_AGENT_CLIENTS_SUPERVISOR_PROCESS_H_
#define RUNTIME_AGENT_CLIENTS_SUPERVISOR_PROCESS_H_

#include <string>

#include "absl/status/status.h"

namespace slipway::agent {

// Makes sure that a supervisor serves <run_dir>/supervisor.sock: runs `binary`, which puts itself
// into the background or finds that one runs already. It may be called while there are threads:
// posix_spawn(3) shares memory with the starter until its exec and runs no handlers of fork(2).
absl::Status EnsureSupervisor(const std::string& binary, const std::string& run_dir,
                              const std::string& root);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_CLIENTS_SUPERVISOR_PROCESS_H_
