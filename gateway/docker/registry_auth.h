#ifndef GATEWAY_DOCKER_REGISTRY_AUTH_H_
#define GATEWAY_DOCKER_REGISTRY_AUTH_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "slipway/image/v1/image.pb.h"

namespace slipway::gateway {

// The header X-Registry-Auth: base64url of {"username", "password", "identitytoken",
// "registrytoken", "serveraddress"}. Empty means anonymous; InvalidArgument for what cannot be
// decoded. Secrets are never put into an error. Pure.
absl::StatusOr<slipway::image::v1::RegistryAuth> ParseRegistryAuth(absl::string_view header);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_REGISTRY_AUTH_H_
