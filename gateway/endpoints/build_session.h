#ifndef GATEWAY_ENDPOINTS_BUILD_SESSION_H_
#define GATEWAY_ENDPOINTS_BUILD_SESSION_H_

#include "gateway/endpoints/api_request.h"

// BuildKit's door.
namespace slipway::gateway {

// POST /build, by whichever protocol the client asks for.
Awaitable<absl::Status> BuildByProtocol(ApiRequest& request);
// POST /session and POST /grpc: the connection speaks gRPC from then on.
Awaitable<absl::Status> BuildSessionOpen(ApiRequest& request);
Awaitable<absl::Status> BuildGrpc(ApiRequest& request);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_BUILD_SESSION_H_
