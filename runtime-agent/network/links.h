#ifndef RUNTIME_AGENT_NETWORK_LINKS_H_
#define RUNTIME_AGENT_NETWORK_LINKS_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/network/ipv6.h"
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
  bool isolated = false;  // from the bridge's other isolated ports
};

// An interface of a container that shares a parent's wire. `kind`: "macvlan" or "ipvlan".
struct ChildLink {
  std::string kind;
  uint32_t mode = 0;
  int parent_index = 0;
  std::string parent_name;  // for messages
  std::string name;
  int netns_fd = -1;
  MacAddress mac = {};  // of macvlan
  uint32_t mtu = 0;     // zero: the parent's
};

// A veth pair between two bridges of the host (index 0: no bridge), both ends up.
struct Cable {
  std::string first_name;
  int first_bridge = 0;
  std::string second_name;
  int second_bridge = 0;
  uint32_t mtu = 1500;
  bool isolated = false;  // the first end
  std::string alias;      // of the first end
};

// `alias` (ip-link(8)) marks whose it is.
void AddBridge(NetlinkBatch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu,
               const std::string& alias);
void AddChildLink(NetlinkBatch& batch, const ChildLink& link);
// The host's end is up and in the bridge, the peer still down, in hairpin mode (a container that
// connects to itself by a port published on the host needs it).
void AddVethPair(NetlinkBatch& batch, const VethPair& pair);
void AddCable(NetlinkBatch& batch, const Cable& cable);
void SetLinkUp(NetlinkBatch& batch, int index);
void DeleteLink(NetlinkBatch& batch, const std::string& name);
// `marked`: ListAddresses() tells it from addresses that others added (Linux 5.18 on).
void AddAddress(NetlinkBatch& batch, int index, uint32_t address, uint32_t prefix_length,
                bool marked = false);
void AddDefaultRoute(NetlinkBatch& batch, uint32_t gateway, int index);
// The same for IPv6; an address is usable at once.
void AddAddress6(NetlinkBatch& batch, int index, const Address6& address, uint32_t prefix_length,
                 bool marked = false);
void AddDefaultRoute6(NetlinkBatch& batch, const Address6& gateway, int index);
// Of both families; there may be none.
void DeleteDefaultRoutes(NetlinkSocket& socket);
// Limits what leaves by an interface, in bytes per second (tc-tbf(8)); zero: no limit.
void SetRate(NetlinkBatch& batch, int index, uint64_t bytes_per_second, uint32_t mtu);

struct Link {
  int index = 0;
  std::string kind;   // "bridge", "veth"; empty: of hardware, or lo
  std::string alias;  // empty: none
};

struct LinkAddress {
  std::string bytes;  // 4 or 16, in network order
  uint32_t prefix_length = 0;
  bool marked = false;
};

// NotFound when there is none of that name.
absl::StatusOr<Link> ReadLink(NetlinkSocket& socket, const std::string& name);
absl::StatusOr<int> FindLink(NetlinkSocket& socket, const std::string& name);
// Of an interface, in both families.
absl::StatusOr<std::vector<LinkAddress>> ListAddresses(NetlinkSocket& socket, int index);
void DeleteAddress(NetlinkBatch& batch, int index, const LinkAddress& address);
// The interfaces in a bridge.
absl::StatusOr<std::vector<std::string>> ListBridgePorts(NetlinkSocket& socket, int bridge_index);

// The interfaces whose alias starts with `prefix`: names and aliases.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ListAliased(
    NetlinkSocket& socket, const std::string& prefix);
// Whether the host has a route other than a default one to some address of the subnet.
absl::StatusOr<bool> HasRouteInto(NetlinkSocket& socket, uint32_t network, uint32_t prefix_length);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_LINKS_H_
