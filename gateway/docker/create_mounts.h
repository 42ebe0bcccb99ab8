#ifndef GATEWAY_DOCKER_CREATE_MOUNTS_H_
#define GATEWAY_DOCKER_CREATE_MOUNTS_H_

#include "absl/status/status.h"
#include "gateway/docker/json_fields.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::gateway {

// Binds, Mounts and Tmpfs of a HostConfig. InvalidArgument for one that cannot be understood,
// Unimplemented for a kind that is not offered. Pure.
absl::Status ReadMounts(JsonFields& host_config, slipway::container::v1::ContainerSpec& spec);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CREATE_MOUNTS_H_
