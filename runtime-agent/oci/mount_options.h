#ifndef RUNTIME_AGENT_OCI_MOUNT_OPTIONS_H_
#define RUNTIME_AGENT_OCI_MOUNT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::agent {

// The options of one mount of a bundle: mount(8)'s words as flags, the rest as the file system's
// own data.
struct MountWords {
  uint64_t flags = 0;        // MS_*, of a new file system
  uint64_t set = 0;          // MOUNT_ATTR_*, the same for a bind mount
  uint64_t clear = 0;        // MOUNT_ATTR_* that a word took away ("rw", "suid", ...)
  uint64_t propagation = 0;  // MS_PRIVATE and so on, with MS_REC
  bool bind = false;
  bool recursive = false;             // rbind
  bool recursive_attributes = false;  // "rro" and its like
  bool copy_up = false;               // tmpcopyup
  std::string data;
};

MountWords ParseMountOptions(const std::vector<std::string>& options);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_MOUNT_OPTIONS_H_
