#ifndef RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
#define RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_

#include <cstdint>

#include "absl/status/status.h"

namespace slipway::agent {

// Forgets the connections that are answered by `address` (IPv4, host byte order): a UDP client that
// goes on sending would otherwise be redirected to a container that is gone for as long as it
// sends. Thread-safe. Needs Linux 5.8.
absl::Status ForgetConnectionsTo(uint32_t address);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
