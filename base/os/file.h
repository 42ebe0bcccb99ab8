#ifndef BASE_OS_FILE_H_
#define BASE_OS_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"

// Small whole-file operations. Each error names the path. Thread-safe.
namespace slipway {

// open(2) with O_CLOEXEC added and EINTR retried.
absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode = 0644);

// The whole file; ResourceExhausted when it is longer than `limit_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes = 16 << 20);

// One write(2) to an existing file, as kernel interface files want it.
absl::Status WriteKernelFile(const std::string& path, absl::string_view content);

// Writes everything, retrying short writes. `what` names the object in errors.
absl::Status WriteAll(int fd, absl::string_view content, absl::string_view what);

// The file at `path` is afterwards either as it was or has `content`, also after a power cut: a
// temporary file beside it is written, synced and renamed, and the directory synced.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content,
                                 mode_t mode = 0644);

// mkdir -p.
absl::Status MakeDirectories(const std::string& path, mode_t mode = 0755);

}  // namespace slipway

#endif  // BASE_OS_FILE_H_
