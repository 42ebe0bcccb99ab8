#ifndef GATEWAY_DOCKER_CREATE_RESOURCES_H_
#define GATEWAY_DOCKER_CREATE_RESOURCES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/docker/json_fields.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::gateway {

// The Resources part of a HostConfig: limits, ulimits and devices. Errors as SpecFromJson. Pure.
absl::Status ReadResources(JsonFields& host_config, slipway::container::v1::ContainerSpec& spec,
                           std::vector<std::string>& warnings);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CREATE_RESOURCES_H_
