#ifndef GATEWAY_DOCKER_HTTP_ERROR_H_
#define GATEWAY_DOCKER_HTTP_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// The one place where a Status becomes an HTTP status of the Docker API.
namespace slipway::gateway {

// NotFound 404; InvalidArgument and OutOfRange 400; AlreadyExists, FailedPrecondition and Aborted
// 409; PermissionDenied 403; Unauthenticated 401; Unimplemented 501; Unavailable 503; the rest 500.
int HttpStatusOf(const absl::Status& status);

// What a failed pull becomes: dockerd answers 404 where a registry refuses to say whether there is
// such a repository, and 500 where the registry does not answer. The message is kept.
absl::Status PullError(const absl::Status& status, absl::string_view reference);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_HTTP_ERROR_H_
