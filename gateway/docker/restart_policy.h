#ifndef GATEWAY_DOCKER_RESTART_POLICY_H_
#define GATEWAY_DOCKER_RESTART_POLICY_H_

#include <optional>

#include "absl/status/statusor.h"
#include "gateway/docker/json_fields.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::gateway {

// The member "RestartPolicy" of a HostConfig or an update; nothing where it is absent.
// InvalidArgument in Docker's words.
absl::StatusOr<std::optional<slipway::container::v1::RestartPolicy>> ReadRestartPolicy(
    JsonFields& parent);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_RESTART_POLICY_H_
