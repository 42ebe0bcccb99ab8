#ifndef RUNTIME_AGENT_KERNEL_MOUNT_SOURCE_H_
#define RUNTIME_AGENT_KERNEL_MOUNT_SOURCE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

// What mount(8) is told: `-t type -o options device`. Type "none" with "bind" or "rbind" means a
// directory of the host; a host name in "addr=" becomes an address, as the kernel wants it.
struct MountSource {
  std::string type;
  std::string device;
  std::string options;
};

// Detached. Errors are the kernel's, with the device. Thread-safe; may wait for another host.
absl::StatusOr<Mount> MountDetached(const MountSource& source);

// An ext4 in a file, through a loop device that goes with the last mount.
absl::StatusOr<Mount> MountExt4Image(const std::string& path);

// Whether something is mounted at `path` itself.
bool IsMountPoint(const std::string& path);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_MOUNT_SOURCE_H_
