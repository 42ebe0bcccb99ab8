#ifndef GATEWAY_DOCKER_BUILD_OPTIONS_H_
#define GATEWAY_DOCKER_BUILD_OPTIONS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/http/url.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::gateway {

// The query of POST /build, and its header X-Registry-Config (credentials by registry, JSON in
// base64; may be empty). InvalidArgument names what cannot be parsed. Pure.
absl::StatusOr<slipway::build::v1::BuildOptions> ReadBuildOptions(
    const Query& query, absl::string_view registry_config);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_BUILD_OPTIONS_H_
