#ifndef RUNTIME_AGENT_DOMAIN_START_ERROR_H_
#define RUNTIME_AGENT_DOMAIN_START_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/supervisor/client.h"

namespace slipway::agent {

// What to tell a client of a process that did not come to its exec, in words that the docker CLI
// knows: it exits with 127 for "executable file not found" and "no such file or directory", with
// 126 for "permission denied". Those of exec and of the working directory, and of a mount of a
// directory on a file, are InvalidArgument, the rest Internal with step, object and errno. A status
// without a SpawnFailure stays as it is.
absl::Status DescribeSpawnError(const absl::Status& status, absl::string_view program);

// For metrics: the name of the step, or "supervisor".
std::string FailedStep(const absl::Status& status);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_START_ERROR_H_
