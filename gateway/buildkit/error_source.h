#ifndef GATEWAY_BUILDKIT_ERROR_SOURCE_H_
#define GATEWAY_BUILDKIT_ERROR_SOURCE_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "buildkit/llb_bridge.pb.h"

namespace slipway::gateway {

// BuildKit's errors carry the place in the Dockerfile, which clients show.

// Adds it where the message begins with a line's number. Pure.
absl::Status WithSource(absl::Status status, const std::string& file, const std::string& text);

// With what WithSource() or FromReturn() has kept, as a call's outcome.
grpc::Status ToGrpcWithSource(const absl::Status& status);

// What a client that is its own frontend tells of its failure; OK for none.
absl::Status FromReturn(const moby::buildkit::v1::frontend::Status& error);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_ERROR_SOURCE_H_
