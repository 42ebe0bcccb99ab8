#ifndef GATEWAY_DOCKER_CONTAINER_JSON_H_
#define GATEWAY_DOCKER_CONTAINER_JSON_H_

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/docker/api_version.h"
#include "slipway/container/v1/container.pb.h"

// Containers as the Engine API shows them. Pure.
namespace slipway::gateway {

// ContainerInspect's answer.
boost::json::object ContainerToJson(const slipway::container::v1::Container& container,
                                    ApiVersion version);

// An element of ContainerList's answer. `now_unix_ns` is for "Up 5 seconds".
boost::json::object ContainerSummaryToJson(const slipway::container::v1::Container& container,
                                           int64_t now_unix_ns);

// "created", "running", "paused", "restarting", "removing", "exited", "dead".
absl::string_view StatusWord(slipway::container::v1::ContainerStatus status);

// "Up 5 seconds", "Exited (0) 3 minutes ago".
std::string StatusText(const slipway::container::v1::ContainerState& state, int64_t now_unix_ns);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CONTAINER_JSON_H_
