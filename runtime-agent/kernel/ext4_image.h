#ifndef RUNTIME_AGENT_KERNEL_EXT4_IMAGE_H_
#define RUNTIME_AGENT_KERNEL_EXT4_IMAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace slipway::agent {

// Makes `path`, which must not exist, a sparse file of `size_bytes` with an empty ext4 in it: its
// root directory has nothing in it, and a journal where it is large enough for one. Synced. What
// the file system needs for itself (about 2 %, and the journal) is part of the size. Thread-safe.
absl::Status MakeExt4Image(const std::string& path, int64_t size_bytes);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_EXT4_IMAGE_H_
