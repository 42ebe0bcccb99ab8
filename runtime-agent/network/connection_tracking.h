#ifndef RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
#define RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
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

struct TrackedConnection {
  std::string tuple;  // of the original direction: the attribute's payload
  uint16_t zone = 0;
  uint32_t status = 0;  // IPS_...
  uint8_t protocol = 0;
  uint16_t port = 0;         // of the original destination
  uint32_t destination = 0;  // likewise: IPv4, host byte order
  uint32_t answers = 0;      // who answers, likewise
};

// The connections that the kernel tracks. Its socket stays open: closing one of netfilter's waits
// until what was deleted from nftables is gone, some 10 ms (nft_rcv_nl_event()). Thread-safe.
class ConnectionTracking {
 public:
  // Whether it tries to delete by a filter first (Linux 6.12); else the table is read, and what is
  // found in it deleted one by one.
  static absl::StatusOr<std::unique_ptr<ConnectionTracking>> Open(bool filtered = true);

  // Forgets the connections that are answered by `address` (IPv4, host byte order): a UDP client
  // that goes on sending would otherwise be redirected to a container that is gone for as long as
  // it sends.
  absl::Status ForgetThoseTo(uint32_t address) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets what clients sent to the ports and nobody translated: one that goes on sending would
  // otherwise never be redirected to the container that has the port by now.
  absl::Status ForgetUntranslated(const std::vector<UdpPort>& ports) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  ConnectionTracking(NetlinkSocket socket, bool filtered)
      : filtered_(filtered), socket_(std::move(socket)) {}

  absl::Status Forget(uint8_t family, const std::function<bool(const TrackedConnection&)>& chosen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  bool filtered_ ABSL_GUARDED_BY(mutex_);
  NetlinkSocket socket_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_CONNECTION_TRACKING_H_
