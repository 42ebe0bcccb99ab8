#ifndef SERVICES_BUILD_SERVER_H_
#define SERVICES_BUILD_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace slipway::build {

struct ServerOptions {
  std::string root;             // state
  std::string socket;           // where to listen
  std::string metrics_address;  // empty: none
  std::string image_socket;
  std::string container_socket;
  std::string agent_socket;  // streams
};

// The running service: the only place that names concrete types. The destructor ends builds.
// Thread-safe.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  virtual ~Server() = default;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_SERVER_H_
