#ifndef GATEWAY_HTTP_APPLICATION_H_
#define GATEWAY_HTTP_APPLICATION_H_

#include "gateway/http/coroutine.h"

namespace slipway::gateway {

class Exchange;

// What answers the requests of a door. Thread-safe; requests of different connections run at once.
class Application {
 public:
  virtual ~Application() = default;

  // Answers one request. Where nothing was sent at return, the connection answers 500.
  virtual Awaitable<void> Serve(Exchange& exchange) = 0;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_APPLICATION_H_
