#ifndef GATEWAY_DOCKER_COMMIT_CONFIG_H_
#define GATEWAY_DOCKER_COMMIT_CONFIG_H_

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "slipway/image/v1/image.pb.h"

namespace slipway::gateway {

// The configuration of an image that is committed, as dockerd makes it: that of the body, or the
// container's where there is none; then `changes`, each an instruction of a Dockerfile; then what
// the container has and is still unset. Pure.
absl::StatusOr<slipway::image::v1::ImageConfig> CommitConfig(
    const boost::json::value& body, const std::vector<std::string>& changes,
    const slipway::image::v1::ImageConfig& container);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_COMMIT_CONFIG_H_
