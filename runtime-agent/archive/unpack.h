#ifndef RUNTIME_AGENT_ARCHIVE_UNPACK_H_
#define RUNTIME_AGENT_ARCHIVE_UNPACK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace slipway::agent {

struct UnpackOptions {
  // A directory is not replaced by something else, nor the other way round.
  bool keep_kinds = false;
  // Owner of everything; what the archive says where there is none.
  std::optional<std::pair<uint32_t, uint32_t>> owner;
};

// Unpacks the tar that can be read from `fd` (plain, or compressed with gzip, bzip2, xz or zstd)
// into the directory `destination` of a process whose root is the container's: links in the
// container lead to places in the container, and names of the archive never lead out of the
// destination by "..". Docker's rules: what is there is replaced, directories are kept and take the
// archive's mode, parents that are missing are made. InvalidArgument for an archive that cannot be
// read or leads out; PermissionDenied for a read-only place.
absl::Status Unpack(int fd, const std::string& destination, const UnpackOptions& options);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_UNPACK_H_
