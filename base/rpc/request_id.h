#ifndef BASE_RPC_REQUEST_ID_H_
#define BASE_RPC_REQUEST_ID_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <string>

#include "absl/strings/string_view.h"

// A request keeps one id from the client's door to the kernel, in the metadata key "x-request-id".
namespace slipway {

inline constexpr char kRequestIdKey[] = "x-request-id";

// 16 random hex digits.
std::string NewRequestId();

// The id that came with the call; empty when none did. At most 128 bytes of printable ASCII are
// taken.
std::string RequestIdOf(const grpc::ServerContextBase& context);

// Puts the id on an outgoing call; an empty id is left out.
void SetRequestId(grpc::ClientContext& context, absl::string_view request_id);

}  // namespace slipway

#endif  // BASE_RPC_REQUEST_ID_H_
