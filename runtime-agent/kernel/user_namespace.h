#ifndef RUNTIME_AGENT_KERNEL_USER_NAMESPACE_H_
#define RUNTIME_AGENT_KERNEL_USER_NAMESPACE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// Which ids of the host are those of containers: `count` from `first_uid` and `first_gid` on are 0
// and up inside.
struct UserRemap {
  uint32_t first_uid = 0;
  uint32_t first_gid = 0;
  uint32_t count = 0;

  UniqueFd containers;  // the namespace that containers' processes live in
  // The same map for idmapped mounts (mount_setattr(2)) of directories that the host's root writes
  // to too, as overlayfs does to its upper and work directory: its files get the id `count` on
  // disk.
  UniqueFd upper;
};

// "100000:65536", or the name of a user that /etc/subuid and /etc/subgid give ids to, as dockerd's
// --userns-remap has it ("default" is dockremap). Forks, so only before the process has threads.
absl::StatusOr<UserRemap> MakeUserRemap(const std::string& text);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_USER_NAMESPACE_H_
