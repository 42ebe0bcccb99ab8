#ifndef BASE_RPC_STATUS_CONVERSION_H_
#define BASE_RPC_STATUS_CONVERSION_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

// The one place where absl::Status becomes grpc::Status and back. Both have the canonical codes.
namespace slipway {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace slipway

#endif  // BASE_RPC_STATUS_CONVERSION_H_
