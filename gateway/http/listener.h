#ifndef GATEWAY_HTTP_LISTENER_H_
#define GATEWAY_HTTP_LISTENER_H_

#include <prometheus/registry.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/http/application.h"
#include "gateway/http/exchange.h"
#include "gateway/http/io_threads.h"

namespace slipway::gateway {

// Accepts connections of one address and serves each on one of the I/O threads. A client beyond
// `max_connections` is answered 503. Thread-safe; the I/O threads outlive it.
class Listener {
 public:
  struct Options {
    int max_connections = 1024;
    HttpLimits limits;
  };

  // A unix socket; one that a dead process left is replaced. Errors name the path.
  static absl::StatusOr<std::unique_ptr<Listener>> OnUnixSocket(IoThreads& threads,
                                                                const std::string& path,
                                                                mode_t mode,
                                                                Application& application,
                                                                const Options& options);
  // "address:port", "[address]:port".
  static absl::StatusOr<std::unique_ptr<Listener>> OnTcp(IoThreads& threads,
                                                         absl::string_view address,
                                                         Application& application,
                                                         const Options& options);
  ~Listener();

  // Accepts no more; connections go on.
  void Stop();
  int connections() const;
  // The port that was bound; zero for a unix socket.
  int port() const;

 private:
  struct Impl;
  explicit Listener(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_LISTENER_H_
