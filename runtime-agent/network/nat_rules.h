#ifndef RUNTIME_AGENT_NETWORK_NAT_RULES_H_
#define RUNTIME_AGENT_NETWORK_NAT_RULES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/netlink.h"

// The messages that make and change our nftables table. The table, as `nft list` would show it:
//
//   table ip <prefix> {
//     map ports_any     { type inet_proto . inet_service : ipv4_addr . inet_service }
//     map ports_address { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//     chain publish {
//       dnat to ip daddr . meta l4proto . th dport map @ports_address
//       dnat to meta l4proto . th dport map @ports_any
//     }
//     chain guard       { hook prerouting priority raw; iifname <bridge> ip daddr 127.0.0.0/8 drop
//     } chain prerouting  { hook prerouting priority dstnat; fib daddr type local jump publish }
//     chain output      { hook output priority dstnat; fib daddr type local jump publish }
//     chain postrouting { hook postrouting priority srcnat;
//       ip saddr <subnet> oifname != <bridge> masquerade            # outward
//       ip saddr <subnet> oifname <bridge> ct status dnat masquerade  # container to container by
//       the host's port ip saddr 127.0.0.0/8 oifname <bridge> masquerade             # the host by
//       127.0.0.1
//     }
//     chain forward     { hook forward priority filter;
//       iifname <bridge> accept
//       oifname <bridge> ct state established,related accept
//       oifname <bridge> ct status dnat accept
//       oifname <bridge> drop                                        # ports that nobody published
//     }
//   }
//
// One look-up per new connection, however many ports there are. What other tables drop stays
// dropped: that is the host's decision. `guard` is the other side of route_localnet, without which
// the host could not reach a published port by 127.0.0.1: no container reaches the host's own
// 127.0.0.0/8.
namespace slipway::agent {

struct NatEntry {
  uint8_t protocol = 0;       // IPPROTO_*
  uint32_t host_address = 0;  // host byte order; 0: every address
  uint16_t host_port = 0;
  uint32_t address = 0;  // the container's
  uint16_t port = 0;

  friend bool operator==(const NatEntry&, const NatEntry&) = default;
};

struct NatNames {
  std::string table;
  std::string bridge;
  Subnet subnet;
};

// A transaction is BeginTransaction, changes, EndTransaction, sent by one NetlinkSocket::Run
// without acknowledge_all.
void BeginTransaction(NetlinkBatch& batch);
void EndTransaction(NetlinkBatch& batch);
void AddTable(NetlinkBatch& batch, const NatNames& names);
// Fails the transaction when there is none: AddTable before it makes that impossible.
void DeleteTable(NetlinkBatch& batch, const NatNames& names);
void AddMapsAndChains(NetlinkBatch& batch, const NatNames& names);
void AddEntries(NetlinkBatch& batch, const NatNames& names, const std::vector<NatEntry>& entries);
void DeleteEntries(NetlinkBatch& batch, const NatNames& names,
                   const std::vector<NatEntry>& entries);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NAT_RULES_H_
