#ifndef SERVICES_CONTAINER_DOMAIN_LOG_POLICY_H_
#define SERVICES_CONTAINER_DOMAIN_LOG_POLICY_H_

#include "absl/status/status.h"
#include "services/container/model/spec.h"

namespace slipway::container {

// InvalidArgument, in dockerd's words, for a log driver that does not exist, an option that the
// driver does not have, and a value that it cannot use. dockerd finds some of the latter only when
// the container is started. Pure; thread-safe.
absl::Status ValidateLogPolicy(const LogPolicy& policy);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_LOG_POLICY_H_
