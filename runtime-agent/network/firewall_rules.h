#ifndef RUNTIME_AGENT_NETWORK_FIREWALL_RULES_H_
#define RUNTIME_AGENT_NETWORK_FIREWALL_RULES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/ipv6.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

// The messages that make and change our nftables tables. All that differs from network to network
// and from container to container is an element of a set or a map. As `nft list` would show it:
//
//   table inet <name> {
//     set bridges  { type ifname }            # every bridge of ours
//     set hairpin  { type ipv4_addr . ifname; flags interval }  # each bridge and its addresses
//     set hairpin6 { type ipv6_addr . ifname; flags interval }
//     set gateways { type ipv4_addr }         # the host's own, on each bridge
//     set gateways6 { type ipv6_addr }
//     set within   { type ifname . ifname }   # of those whose containers reach each other
//     set outward  { type ifname }            # whose packets leave under the host's address
//     set internal { type ifname }            # which nothing enters or leaves
//     map ports_any      { type inet_proto . inet_service : ipv4_addr . inet_service }
//     map ports_address  { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//     map ports6_any, ports6_address: the same with ipv6_addr
//     chain publish4 {
//       dnat to ip daddr . meta l4proto . th dport map @ports_address
//       dnat to meta l4proto . th dport map @ports_any
//     }
//     chain publish6: the same, behind: ip6 daddr ::1 accept   # see port_relay.h
//     chain guard       { hook prerouting priority raw;
//       iifname @bridges ip daddr 127.0.0.0/8 drop
//     }
//     chain prerouting  { hook prerouting priority dstnat;
//       fib daddr type local jump publish4 or publish6
//     }
//     chain output      { hook output priority dstnat;
//       fib daddr type local jump publish4 or publish6
//     }
//     chain postrouting { hook postrouting priority srcnat;
//       # to its own network by a host's port
//       ip saddr . oifname @hairpin ct status dnat masquerade
//       ip6 saddr . oifname @hairpin6 ct status dnat masquerade
//       # the host by another network's gateway: who is in both would answer by that one
//       ip saddr @gateways oifname @bridges ct status dnat masquerade
//       ip6 saddr @gateways6 oifname @bridges ct status dnat masquerade
//       iifname @outward oifname != @bridges masquerade
//       ip saddr 127.0.0.0/8 oifname @bridges masquerade    # the host by 127.0.0.1
//     }
//     chain forward     { hook forward priority filter;
//       ct state established,related accept
//       iifname . oifname @within accept
//       iifname @internal drop
//       oifname @internal drop
//       oifname @bridges ct status dnat accept
//       oifname @bridges drop                # other networks, and ports that nobody published
//     }
//   }
//   table bridge <name> {
//     set ports   { type ifname }              # the host's ends of containers' interfaces
//     set macs    { type ifname . ether_addr }
//     set owners  { type ifname . ipv4_addr }
//     set owners6 { type ifname . ipv6_addr }
//     chain source { hook prerouting priority -300;   # whose the source address is not, is dropped
//       iifname != @ports accept
//       iifname . ether saddr != @macs drop
//       meta protocol != { ip, arp, ip6 } drop
//       meta protocol ip iifname . ip saddr != @owners drop
//       meta protocol arp iifname . arp saddr ether != @macs drop
//       meta protocol arp iifname . arp saddr ip != @owners drop
//       meta protocol ip6 jump source6
//     }
//     chain source6: router advertisements, redirects and neighbour advertisements for others are
//       dropped; ICMP from the unspecified address passes; iifname . ip6 saddr != @owners6 drop
//   }
//
// One look-up per new connection, however many ports there are. What other tables drop stays
// dropped: that is the host's decision. `guard` is the other side of route_localnet, without which
// the host could not reach a published port by 127.0.0.1: no container reaches the host's own
// 127.0.0.0/8.
namespace slipway::agent {

enum class FirewallSet {
  kBridges,
  kHairpin,
  kHairpin6,
  kGateways,
  kGateways6,
  kWithin,
  kOutward,
  kInternal,
  kPortsAny,
  kPortsAddress,
  kPorts6Any,
  kPorts6Address,
  kPorts,
  kMacs,
  kOwners,
  kOwners6,
};

// Bytes as the kernel has them.
struct FirewallElement {
  FirewallSet set = FirewallSet::kBridges;
  std::string key;
  std::string value;    // of a map
  std::string key_end;  // of an interval, its last
};

struct FirewallNetwork {
  std::string bridge;
  bool internal = false;
  bool masquerade = true;
  bool icc = true;
  Subnet subnet;
  std::optional<Subnet6> subnet6;
  uint32_t gateway = 0;  // zero: none
  Address6 gateway6 = {};
};

struct NatEntry {
  uint8_t protocol = 0;       // IPPROTO_*
  uint32_t host_address = 0;  // host byte order; 0: every address
  uint16_t host_port = 0;
  uint32_t address = 0;  // the container's
  uint16_t port = 0;
};

struct NatEntry6 {
  uint8_t protocol = 0;
  Address6 host_address = {};  // zero: every address
  uint16_t host_port = 0;
  Address6 address = {};
  uint16_t port = 0;
};

// What one interface of a container may call itself.
struct GuardedPort {
  std::string interface;
  MacAddress mac = {};
  uint32_t address = 0;
  std::optional<Address6> address6;
};

void AppendElements(const FirewallNetwork& network, std::vector<FirewallElement>& elements);
void AppendElements(const NatEntry& entry, std::vector<FirewallElement>& elements);
void AppendElements(const NatEntry6& entry, std::vector<FirewallElement>& elements);
void AppendElements(const GuardedPort& port, std::vector<FirewallElement>& elements);

// Whether the set is in the table of the bridge family.
bool IsBridgeSet(FirewallSet set);

// A transaction is BeginTransaction, changes, EndTransaction, sent by one NetlinkSocket::Run
// without acknowledge_all.
void BeginTransaction(NetlinkBatch& batch);
void EndTransaction(NetlinkBatch& batch);
// Makes each and deletes it, so that there is none of either family, nor of "ip", where an earlier
// version had its own.
void DropTables(NetlinkBatch& batch, const std::string& table, bool bridge_family);
void AddTables(NetlinkBatch& batch, const std::string& table, bool bridge_family);
// A table that lets everything pass and belongs to the socket it is sent by: no other program
// flushes it, and it goes when the socket is closed (Linux 5.12 on). While there is some chain for
// translation and some rule about states, connections that exist are translated: without them a
// flush of all rules ends them.
void AddKeeperTable(NetlinkBatch& batch, const std::string& table);
void ChangeElements(NetlinkBatch& batch, const std::string& table,
                    const std::vector<FirewallElement>& elements, bool add);

// A chain at a hook; `type` null: a chain to jump to.
void DropNftTable(NetlinkBatch& batch, uint8_t family, const std::string& table);
void AddNftTable(NetlinkBatch& batch, uint8_t family, const std::string& table);
void AddNftChain(NetlinkBatch& batch, uint8_t family, const std::string& table, const char* name,
                 const char* type, uint32_t hook, int32_t priority);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_FIREWALL_RULES_H_
