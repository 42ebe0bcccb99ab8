#ifndef RUNTIME_AGENT_NETWORK_RESOLVER_SOCKETS_H_
#define RUNTIME_AGENT_NETWORK_RESOLVER_SOCKETS_H_

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// Where a sandbox's questions about names arrive: bound to any free port of 127.0.0.11, to which
// what the sandbox sends to port 53 of that address is redirected, so that port 53 is the
// container's own to listen on.
struct ResolverSockets {
  UniqueFd udp;
  UniqueFd tcp;  // listening
};

// In the calling thread's network namespace. Replaces a redirection that is there.
absl::StatusOr<ResolverSockets> OpenResolverSockets();

// Of a process that has them, by the inode of their network namespace. Best effort: what cannot be
// taken over is left out.
std::map<uint64_t, ResolverSockets> TakeOverResolverSockets(int pid);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_RESOLVER_SOCKETS_H_
