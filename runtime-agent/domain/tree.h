#ifndef RUNTIME_AGENT_DOMAIN_TREE_H_
#define RUNTIME_AGENT_DOMAIN_TREE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Whole directory trees whose content comes from containers and images: everything is done by
// descriptors, no link is followed. Thread-safe.
namespace slipway::agent {

// rm -r. OK when there is none. Goes on after an error and returns the first one.
absl::Status RemoveTree(const std::string& path);

// Removes what is in a directory.
absl::Status EmptyDirectory(const std::string& path);
absl::StatusOr<bool> IsEmptyDirectory(const std::string& path);

// Bytes of all files below `path`, a file of several names once. What vanishes meanwhile does not
// count.
absl::StatusOr<int64_t> TreeSize(const std::string& path);

// Whether `inside` is a directory below the root `root_fd`.
bool HasDirectory(int root_fd, const std::string& inside);

// Copies what `inside` is below the root `root_fd` (a directory of an image) into `directory` when
// that is empty: modes, owners, times, links, device nodes and extended attributes. Nothing happens
// when the image has no such directory.
absl::Status FillEmptyDirectory(int root_fd, const std::string& inside,
                                const std::string& directory);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_TREE_H_
