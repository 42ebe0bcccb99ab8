#ifndef RUNTIME_AGENT_KERNEL_LOOP_DEVICE_H_
#define RUNTIME_AGENT_KERNEL_LOOP_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// A block device over a file (loop(4)), which frees itself after its last user: the descriptor
// here, or a mount. Move-only.
struct LoopDevice {
  UniqueFd fd;
  std::string path;  // "/dev/loop7"
};

struct LoopOptions {
  bool read_only = false;
  bool direct_io = false;  // where the file's file system can
};

// Thread-safe.
absl::StatusOr<LoopDevice> AttachLoopDevice(int file, const LoopOptions& options);

// The device that is over this file already, where there is one: two file systems over one file
// would destroy it. NotFound otherwise. Thread-safe.
absl::StatusOr<LoopDevice> FindLoopDevice(int file);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_LOOP_DEVICE_H_
