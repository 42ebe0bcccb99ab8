#ifndef SERVICES_BUILD_CLIENTS_GIT_CLIENT_H_
#define SERVICES_BUILD_CLIENTS_GIT_CLIENT_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "services/build/ports/cancellation.h"
#include "services/build/ports/git.h"

namespace slipway::build {

struct GitLimits {
  int64_t received_bytes = int64_t{4} << 30;  // of all servers that one reading asks
  int64_t content_bytes = int64_t{16} << 30;  // of all files
  int64_t file_bytes = 512 << 20;             // of one file, which is held in memory
  absl::Duration time = absl::Minutes(30);
  absl::Duration stall_time = absl::Seconds(60);
};

// With libgit2, in this process: nothing of a repository is ever executed or checked out, and no
// configuration of the host is read. Objects go to a directory of their own until their files were
// read. Thread-safe.
class GitClient : public Git {
 public:
  // `directory` is where the objects go. `cancellation` outlives it.
  GitClient(std::string directory, Cancellation& cancellation, GitLimits limits = {})
      : directory_(std::move(directory)), cancellation_(cancellation), limits_(limits) {}

  absl::StatusOr<std::string> ReadFiles(
      const GitReference& reference, bool keep_git_dir,
      const std::function<absl::Status(FileInfo)>& on_file,
      const std::function<absl::Status(absl::string_view)>& on_data) override;

 private:
  const std::string directory_;
  Cancellation& cancellation_;
  const GitLimits limits_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_GIT_CLIENT_H_
