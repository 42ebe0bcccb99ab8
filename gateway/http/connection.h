#ifndef GATEWAY_HTTP_CONNECTION_H_
#define GATEWAY_HTTP_CONNECTION_H_

#include <memory>

#include "gateway/http/application.h"
#include "gateway/http/coroutine.h"
#include "gateway/http/exchange.h"

namespace slipway::gateway {

// Serves the requests of one client, one after the other, until it leaves, is too slow or breaks
// HTTP. Runs on the thread of the socket's executor.
Awaitable<void> ServeConnection(std::shared_ptr<Stream> stream, Application& application,
                                const HttpLimits& limits);

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_CONNECTION_H_
