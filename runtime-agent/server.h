#ifndef RUNTIME_AGENT_SERVER_H_
#define RUNTIME_AGENT_SERVER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "base/service/service.h"
#include "runtime-agent/kernel/user_namespace.h"

namespace slipway::agent {

struct ServerOptions {
  ServiceOptions service;
  std::string supervisor;  // path of the binary
  std::string archiver;    // path of the binary
  std::string dns;         // path of the binary
  size_t ready_sandboxes = 4;
  std::string image_socket;
  std::string log_socket;
  uid_t socket_owner = static_cast<uid_t>(-1);
  std::string bridge_subnet;
  std::string host_id;               // empty: a random one, kept
  const UserRemap* remap = nullptr;  // outlives the server
  std::string cgroup_parent;         // below the root of each hierarchy
  std::string fail_start_at_file;    // for tests; see main.cc
  size_t ready_runs = 0;
};

// Wires everything, serves until SIGTERM or SIGINT. Containers go on when it returns.
absl::Status RunServer(const ServerOptions& options);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SERVER_H_
