#ifndef RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
#define RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {

// A port of the host that clients send to.
struct UdpPort {
  uint16_t port = 0;
  uint32_t address = 0;  // IPv4, host byte order; zero: every address
  bool v6 = false;       // every address of IPv6 instead
};

// The connections that the kernel tracks. Its socket stays open: closing one of netfilter's waits
// until what was deleted from nftables is gone, some 10 ms (nft_rcv_nl_event()). Thread-safe.
class ConnectionTracking {
 public:
  static absl::StatusOr<std::unique_ptr<ConnectionTracking>> Open();

  // Forgets the connections that are answered by `address` (IPv4, host byte order): a UDP client
  // that goes on sending would otherwise be redirected to a container that is gone for as long as
  // it sends. Needs Linux 5.8.
  absl::Status ForgetThoseTo(uint32_t address) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets what clients sent to the ports and nobody translated: one that goes on sending would
  // otherwise never be redirected to the container that has the port by now.
  absl::Status ForgetUntranslated(std::vector<UdpPort> ports) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit ConnectionTracking(NetlinkSocket socket) : socket_(std::move(socket)) {}

  // To which UDP ports there are connections that nobody translates.
  absl::StatusOr<std::set<uint16_t>> UntranslatedPorts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  NetlinkSocket socket_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
