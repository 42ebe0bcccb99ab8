#ifndef RUNTIME_AGENT_NETWORK_LINKS_H_
#define RUNTIME_AGENT_NETWORK_LINKS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/network/netlink.h"

// Interfaces, addresses and routes by rtnetlink(7). The functions add requests to a batch; IPv4
// addresses are numbers in host byte order. Thread-safe (each batch and socket by one thread).
namespace slipway::agent {

using MacAddress = std::array<uint8_t, 6>;

struct VethPair {
  std::string host_name;
  std::string bridge_name;  // for messages
  int bridge_index = 0;
  std::string peer_name;
  int peer_netns_fd = -1;
  MacAddress peer_mac = {};
  uint32_t mtu = 1500;
};

void AddBridge(NetlinkBatch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu);
// The host's end is up and in the bridge, the peer still down, in hairpin mode (a container that
// connects to itself by a port published on the host needs it).
void AddVethPair(NetlinkBatch& batch, const VethPair& pair);
void SetLinkUp(NetlinkBatch& batch, int index);
void DeleteLink(NetlinkBatch& batch, const std::string& name);
void AddAddress(NetlinkBatch& batch, int index, uint32_t address, uint32_t prefix_length);
void AddDefaultRoute(NetlinkBatch& batch, uint32_t gateway, int index);

// NotFound when there is none of that name.
absl::StatusOr<int> FindLink(NetlinkSocket& socket, const std::string& name);
// The interfaces in a bridge.
absl::StatusOr<std::vector<std::string>> ListBridgePorts(NetlinkSocket& socket, int bridge_index);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_LINKS_H_
