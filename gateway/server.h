#ifndef GATEWAY_SERVER_H_
#define GATEWAY_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/clients/backends.h"

namespace slipway::gateway {

struct ServerOptions {
  std::string docker_socket;
  std::string native_socket;
  std::string http_address;  // empty: no web door
  Backends::Addresses backends;
};

// The gateway with its three doors. Thread-safe.
class Server {
 public:
  // Listens and serves. The error names the door.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  ~Server();

  // Closes the doors, ends the calls under way and waits for them, but not for long. Once.
  void Stop();

  // The port of the web door.
  int http_port() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_SERVER_H_
