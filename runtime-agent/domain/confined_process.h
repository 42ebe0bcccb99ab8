#ifndef RUNTIME_AGENT_DOMAIN_CONFINED_PROCESS_H_
#define RUNTIME_AGENT_DOMAIN_CONFINED_PROCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"

// What processes of the agent's own are started with, which read what others have written.
// Thread-safe.
namespace slipway::agent {

// A mount of the binary: what is written through it fails, whoever opens it by /proc/<pid>/exe.
absl::StatusOr<UniqueFd> MountProgram(const std::string& path);

// A detached file system without files.
absl::StatusOr<UniqueFd> EmptyRoot();

// "<prefix>" and random digits: for the supervisor, a name that no container or exec has.
absl::StatusOr<std::string> NewEntryId(absl::string_view prefix);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_CONFINED_PROCESS_H_
