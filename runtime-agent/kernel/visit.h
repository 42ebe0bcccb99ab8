#ifndef RUNTIME_AGENT_KERNEL_VISIT_H_
#define RUNTIME_AGENT_KERNEL_VISIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// A detached copy of a mount that only the process `pid` sees (its mount namespace; `path` from its
// namespace's root), with what is mounted below where `recursive`. A thread that visits the
// namespace ends with the visit. Thread-safe.
absl::StatusOr<UniqueFd> CloneMountOf(int pid, const std::string& path, bool recursive);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_VISIT_H_
