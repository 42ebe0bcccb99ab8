#ifndef SERVICES_BUILD_PORTS_SSH_AGENTS_H_
#define SERVICES_BUILD_PORTS_SSH_AGENTS_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace slipway::build {

// The SSH agents that a build's client can reach. Thread-safe.
class SshAgents {
 public:
  // Listens until it is destroyed; what is connected then ends.
  class Socket {
   public:
    virtual ~Socket() = default;
  };

  virtual ~SshAgents() = default;
  virtual bool Has(const std::string& id) const = 0;
  // A socket in the file system, of which each connection leads to the agent.
  virtual absl::StatusOr<std::unique_ptr<Socket>> Listen(const std::string& id,
                                                         const std::string& path, mode_t mode) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_SSH_AGENTS_H_
