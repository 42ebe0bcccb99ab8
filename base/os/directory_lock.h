#ifndef BASE_OS_DIRECTORY_LOCK_H_
#define BASE_OS_DIRECTORY_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"

namespace slipway {

// Makes a directory this process's own until the descriptor is closed (flock(2)). A process that
// was killed keeps its own until the last of its threads has left the kernel, which a slow disk can
// hold there: that is waited for, up to `wait`. FailedPrecondition names the directory when it is
// still another's then. Thread-safe.
absl::StatusOr<UniqueFd> LockDirectory(const std::string& directory,
                                       absl::Duration wait = absl::Seconds(15));

}  // namespace slipway

#endif  // BASE_OS_DIRECTORY_LOCK_H_
