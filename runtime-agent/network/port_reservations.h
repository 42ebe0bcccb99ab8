#ifndef RUNTIME_AGENT_NETWORK_PORT_RESERVATIONS_H_
#define RUNTIME_AGENT_NETWORK_PORT_RESERVATIONS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/network/network_driver.h"

namespace slipway::agent {

const char* PortProtocolName(PortProtocol protocol);  // "tcp"
uint8_t PortProtocolNumber(PortProtocol protocol);    // IPPROTO_TCP

// Whether the host has IPv6: whether a socket can have a port of `::1`.
bool HostHasIpv6();

// Ports of the host that containers have. Each is held by a socket, so that no process of the host
// can take it; what the NAT table redirects never gets there, the rest is PortRelay's. Sockets
// belong to the network namespace of the calling thread. Thread-safe.
class PortReservations {
 public:
  // Fills in host_port where it was zero or a range. Errors as NetworkDriver::Connect says.
  absl::StatusOr<PublishedPort> Reserve(const PublishedPort& port);
  // Of a container that already runs: succeeds although a process of the host has the port by now.
  absl::Status Restore(const PublishedPort& port);
  void Release(const PublishedPort& port);
  // Another descriptor of the socket that holds it; none where no socket does.
  UniqueFd SocketOf(const PublishedPort& port) const;

 private:
  struct Holder {
    std::string address;  // canonical; "0.0.0.0" and "::": every one of their family
    UniqueFd socket;
  };
  using Key = std::pair<PortProtocol, uint16_t>;

  absl::StatusOr<PublishedPort> ReserveOne(const PublishedPort& port, const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFree(const PublishedPort& port, const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<Key, std::vector<Holder>> holders_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_PORT_RESERVATIONS_H_
