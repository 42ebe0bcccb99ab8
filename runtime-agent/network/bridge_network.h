#ifndef RUNTIME_AGENT_NETWORK_BRIDGE_NETWORK_H_
#define RUNTIME_AGENT_NETWORK_BRIDGE_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime-agent/network/network_driver.h"

namespace slipway::agent {

struct BridgeOptions {
  // Names of ours on the host: bridge "<prefix>0", nftables tables "<prefix>", other bridges and
  // interfaces "<5 letters>...". 1 to 13 letters, digits, '-' or '_'.
  std::string prefix = "slipway";
  std::string subnet = "172.29.0.0/16";  // IPv4, /8 to /30; the gateway is the first address
  uint32_t mtu = 1500;
  // Namespaces kept ready, connected to the default bridge and with only lo; zero: none.
  size_t ready_connected = 4;
  size_t ready_isolated = 4;
  // Below the kernel's limit of 1,023 (net/bridge/br_private.h, BR_MAX_PORTS): adding a port takes
  // the longer the more there are.
  size_t ports_per_bridge = 480;
  // Put back at once when somebody flushes our rules.
  bool heal_rules = true;
  // Tracked connections are forgotten by a filter where the kernel can (Linux 6.12).
  bool filtered_forgetting = true;
};

// Makes the default bridge and its address (idempotent), in the network namespace of the calling
// thread, and enables IPv4 forwarding there. Networks and firewall stay when the object is
// destroyed, endpoints too: containers outlive the agent.
absl::StatusOr<std::unique_ptr<NetworkDriver>> NewBridgeNetwork(const BridgeOptions& options);

// Removes all networks, interfaces and tables of `options.prefix` (for `down --all` and tests).
absl::Status RemoveBridgeNetwork(const BridgeOptions& options);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_BRIDGE_NETWORK_H_
