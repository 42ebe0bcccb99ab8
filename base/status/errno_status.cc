#include "base/status/errno_status.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace slipway {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
      return absl::StatusCode::kInvalidArgument;
    case ETIMEDOUT:
      return absl::StatusCode::kDeadlineExceeded;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::string_view ErrnoName(int error) {
  // glibc 2.32 on.
  const char* name = strerrorname_np(error);
  return name == nullptr ? absl::string_view("unknown errno") : absl::string_view(name);
}

absl::Status ErrnoStatus(int error, absl::string_view what) {
  const char* text = strerrordesc_np(error);
  return absl::Status(CodeOf(error), absl::StrCat(what, ": ", ErrnoName(error), " (",
                                                  text == nullptr ? "unknown error" : text, ")"));
}

}  // namespace slipway
