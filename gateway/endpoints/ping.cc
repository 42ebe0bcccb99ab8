#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {

Awaitable<absl::Status> Ping(ApiRequest& request) {
  // A vector made in the call would die too early: GCC 12 ends such temporaries at the suspension.
  std::vector<ResponseHeader> headers;
  headers.push_back({"Builder-Version", "1"});
  headers.push_back({"Cache-Control", "no-cache, no-store, must-revalidate"});
  headers.push_back({"Pragma", "no-cache"});
  headers.push_back({"Swarm", "inactive"});
  co_return co_await request.http.Send(200, "text/plain; charset=utf-8", "OK", std::move(headers));
}

}  // namespace slipway::gateway
