#ifndef SERVICES_CONTAINER_SERVER_H_
#define SERVICES_CONTAINER_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace slipway::container {

struct ServerOptions {
  std::string root;             // state
  std::string socket;           // where to listen
  std::string image_socket;     // of the image service
  std::string agent_socket;     // of the host's agent
  std::string metrics_address;  // empty: none
  // IPv4; networks that nobody chose addresses for get /24 blocks of it.
  std::string network_pool = "172.30.0.0/15";
  // How long to wait for the first comparison with the host before clients are let in.
  absl::Duration first_sync = absl::Seconds(3);
};

// The running service: the only place that names concrete types. Stops in the destructor, in order:
// clients first, then what watches the host, then timers, then what still runs. Thread-safe.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  virtual ~Server() = default;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_SERVER_H_
