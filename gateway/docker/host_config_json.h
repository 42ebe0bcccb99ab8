#ifndef GATEWAY_DOCKER_HOST_CONFIG_JSON_H_
#define GATEWAY_DOCKER_HOST_CONFIG_JSON_H_

#include <boost/json/object.hpp>
#include <string>

#include "slipway/container/v1/container.pb.h"

namespace slipway::gateway {

// HostConfig as ContainerInspect gives it: every member, in dockerd's order, from the spec; over
// it what the client had sent (`original`, may be null). Pure.
boost::json::object HostConfigToJson(const slipway::container::v1::ContainerSpec& spec,
                                     const boost::json::object* original);

// "default" where the spec names none.
std::string NetworkModeOf(const slipway::container::v1::ContainerSpec& spec);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_HOST_CONFIG_JSON_H_
