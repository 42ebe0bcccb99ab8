#ifndef SERVICES_BUILD_PORTS_GIT_H_
#define SERVICES_BUILD_PORTS_GIT_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/ports/images.h"

namespace slipway::build {

// "https://host/repo.git#ref:directory" in its parts.
struct GitReference {
  std::string url;
  std::string ref;        // branch, tag or commit; empty: what the repository has as its HEAD
  std::string directory;  // relative, below the repository's root; empty: that
};

// Files of git repositories. Thread-safe.
class Git {
 public:
  virtual ~Git() = default;
  // The files of a commit, a directory before what is in it, all of root; those of its submodules
  // too. `keep_git_dir`: also the repository, as ".git", where the directory is the root. The
  // commit's id. NotFound, or Unavailable with what the server said. Bounded in size and time.
  virtual absl::StatusOr<std::string> ReadFiles(
      const GitReference& reference, bool keep_git_dir,
      const std::function<absl::Status(FileInfo)>& on_file,
      const std::function<absl::Status(absl::string_view)>& on_data) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_GIT_H_
