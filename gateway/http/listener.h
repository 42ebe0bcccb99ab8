#ifndef GATEWAY_HTTP_LISTENER_H_
#define GATEWAY_HTTP_LISTENER_H_

#include <prometheus/registry.h>
#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/http/application.h"
#include "gateway/http/exchange.h"

namespace slipway::gateway {

// Accepts connections of one address and serves each on a strand of its own. A client beyond
// `max_connections` is answered 503. Thread-safe; lives as long as the io_context runs.
class Listener {
 public:
  struct Options {
    int max_connections = 1024;
    HttpLimits limits;
  };

  // A unix socket; one that a dead process left is replaced. Errors name the path.
  static absl::StatusOr<std::unique_ptr<Listener>> OnUnixSocket(asio::io_context& context,
                                                                const std::string& path,
                                                                mode_t mode,
                                                                Application& application,
                                                                const Options& options);
  // "address:port", "[address]:port".
  static absl::StatusOr<std::unique_ptr<Listener>> OnTcp(asio::io_context& context,
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
