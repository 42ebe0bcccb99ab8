#ifndef BASE_STATUS_ERRNO_STATUS_H_
#define BASE_STATUS_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway {

// A Status for a failed system call. `what` is the verb with its object ("open /etc/passwd"); the
// message is "<what>: ENOENT (No such file or directory)". The code is the nearest of absl's:
// ENOENT NotFound, EEXIST AlreadyExists, EACCES and EPERM PermissionDenied, ENOSPC, EDQUOT, EMFILE,
// ENFILE and ENOMEM ResourceExhausted, EINVAL and ENAMETOOLONG InvalidArgument, ETIMEDOUT
// DeadlineExceeded, ECONNREFUSED and EAGAIN Unavailable, everything else Internal. Thread-safe.
absl::Status ErrnoStatus(int error, absl::string_view what);

// The name of an errno, "ENOENT"; "unknown errno" for one that has none.
absl::string_view ErrnoName(int error);

}  // namespace slipway

#endif  // BASE_STATUS_ERRNO_STATUS_H_
