#ifndef GATEWAY_DOCKER_CREATE_CONTAINER_H_
#define GATEWAY_DOCKER_CREATE_CONTAINER_H_

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "slipway/container/v1/container.pb.h"

// The body of POST /containers/create (Engine API 1.51, ContainerCreate) as a ContainerSpec. Pure.
namespace slipway::gateway {

// InvalidArgument for what has the wrong type or cannot be understood; Unimplemented, naming the
// option, for one that is not offered and not at its default. The members of HostConfig that are
// not zero, and what of Config has no place in the spec, go into `client_data`, so that
// inspect gives them back as they were.
// `warnings`, where it is not null, gets what is taken and has no effect.
absl::StatusOr<slipway::container::v1::ContainerSpec> SpecFromJson(
    const boost::json::value& body, std::vector<std::string>* warnings = nullptr);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CREATE_CONTAINER_H_
