#include "gateway/docker/http_error.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::gateway {

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

absl::Status PullError(const absl::Status& status, absl::string_view reference) {
  if (status.code() == absl::StatusCode::kUnauthenticated ||
      status.code() == absl::StatusCode::kPermissionDenied) {
    if (absl::StrContains(status.message(), "pull access denied")) {
      return absl::NotFoundError(status.message());
    }
    const size_t slash = reference.rfind('/');
    const size_t after = slash == absl::string_view::npos ? 0 : slash + 1;
    absl::string_view repository = reference.substr(0, reference.find('@'));
    const size_t colon = repository.find(':', after);
    repository = repository.substr(0, colon);
    return absl::NotFoundError(absl::StrCat(
        "pull access denied for ", repository,
        ", repository does not exist or may require 'docker login': ", status.message()));
  }
  if (status.code() == absl::StatusCode::kUnavailable) {
    return absl::InternalError(status.message());
  }
  return status;
}

}  // namespace slipway::gateway
