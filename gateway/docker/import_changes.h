#ifndef GATEWAY_DOCKER_IMPORT_CHANGES_H_
#define GATEWAY_DOCKER_IMPORT_CHANGES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "slipway/image/v1/image.pb.h"

namespace slipway::gateway {

// One Dockerfile instruction of `docker import --change`: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL,
// ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR. InvalidArgument, naming it, for any other. Pure.
absl::Status ApplyChange(absl::string_view instruction, slipway::image::v1::ImageConfig& config);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_IMPORT_CHANGES_H_
