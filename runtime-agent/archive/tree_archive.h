#ifndef RUNTIME_AGENT_ARCHIVE_TREE_ARCHIVE_H_
#define RUNTIME_AGENT_ARCHIVE_TREE_ARCHIVE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/archive/tar_writer.h"

namespace slipway::agent {

struct TreeOptions {
  // Do not descend into other mounts: what lies over the tree is not of it.
  bool one_mount = false;
  // The tree is an overlay's upper directory: 0/0 devices become ".wh.<name>", opaque directories
  // get a ".wh..wh..opq" (OCI image-spec, layer.md), the overlay's own xattrs stay out.
  bool whiteouts = false;
};

// Writes the file or directory `path` with all that is in it into `tar`, sorted by name, under the
// name `name` ("": what is in the directory, without an entry for itself; otherwise every name
// begins with it). No link is followed. Pseudo file systems (proc, sysfs, cgroups and such) are
// entered by name only; sockets are left out. The tree may change meanwhile: what vanishes is left
// out.
absl::Status ArchiveTree(const std::string& path, absl::string_view name,
                         const TreeOptions& options, TarWriter& tar);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_TREE_ARCHIVE_H_
