#ifndef RUNTIME_AGENT_ARCHIVE_CONTAINER_PATH_H_
#define RUNTIME_AGENT_ARCHIVE_CONTAINER_PATH_H_

#include <sys/stat.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Paths as `docker cp` takes them, for a process whose root is the container's. Pure functions but
// for StatContainerPath and EvaluateLinks; thread-safe.
namespace slipway::agent {

// Absolute and without ".", ".." and double slashes; as Go's path.Clean("/" + path).
std::string CleanContainerPath(absl::string_view path);

// As CleanContainerPath, but a trailing "/." or "/" stays: it says that a link is to be followed
// and that a directory is meant.
std::string KeepTrailing(absl::string_view path);

// Last element, as Go's path.Base: "/" of "/", "." of "/a/.".
std::string BaseName(absl::string_view path);

// Where a path leads when every link is followed; what does not exist is kept as it is.
// InvalidArgument after 255 links.
absl::StatusOr<std::string> EvaluateLinks(const std::string& path);

struct ContainerPathStat {
  std::string path;  // KeepTrailing
  std::string name;
  struct stat info = {};
  std::string link_target;  // of a link: EvaluateLinks
};

// Whether a descriptor is on proc, sysfs, a cgroup hierarchy or the like: what is there is the
// kernel's, no file of a container.
bool OnPseudoFileSystem(int fd);

// lstat(2) of `path`. NotFound names it, also where it is on a pseudo file system.
absl::StatusOr<ContainerPathStat> StatContainerPath(absl::string_view path);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_CONTAINER_PATH_H_
