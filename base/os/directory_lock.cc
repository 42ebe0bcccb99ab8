#include "base/os/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway {

absl::StatusOr<UniqueFd> LockDirectory(const std::string& directory, absl::Duration wait) {
  const absl::Time give_up = absl::Now() + wait;
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return ErrnoStatus(errno, absl::StrCat("lock ", directory));
    }
    if (absl::Now() > give_up) {
      return absl::FailedPreconditionError(
          absl::StrCat(directory, " is in use by another process"));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return fd;
}

}  // namespace slipway
