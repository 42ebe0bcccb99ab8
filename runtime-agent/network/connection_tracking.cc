#include "runtime-agent/network/connection_tracking.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Bits of the flags of CTA_FILTER: what counts (net/netfilter/nf_conntrack_netlink.c).
constexpr uint32_t kFilterBySource = 1 << 0;
constexpr uint32_t kFilterByDestination = 1 << 1;
constexpr uint32_t kFilterByProtocol = 1 << 3;
constexpr uint32_t kFilterByDestinationPort = 1 << 5;
// Each is one look through the kernel's table; above this, one at all of it comes first.
constexpr size_t kFewPorts = 16;

nlmsghdr* StartConntrack(NetlinkBatch& batch, uint16_t type, uint16_t flags, uint8_t family,
                         const char* description) {
  nlmsghdr* header =
      batch.Add(static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, description);
  auto* head = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  head->nfgen_family = family;
  head->version = NFNETLINK_V0;
  return header;
}

// Whose original direction is UDP to this port (zero: to any), translated in neither address.
void AddUntranslated(nlmsghdr* header, const UdpPort& to) {
  uint32_t flags = kFilterByProtocol;
  nlattr* tuple = mnl_attr_nest_start(header, CTA_TUPLE_ORIG);
  // Not by those of IPv6: kernels take all but the one that is given (6.18 still does).
  if (to.address != 0 && !to.v6) {
    flags |= kFilterByDestination;
    nlattr* addresses = mnl_attr_nest_start(header, CTA_TUPLE_IP);
    mnl_attr_put_u32(header, CTA_IP_V4_DST, htonl(to.address));
    mnl_attr_nest_end(header, addresses);
  }
  nlattr* protocol = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_UDP);
  if (to.port != 0) {
    flags |= kFilterByDestinationPort;
    mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(to.port));
  }
  mnl_attr_nest_end(header, protocol);
  mnl_attr_nest_end(header, tuple);
  nlattr* filter = mnl_attr_nest_start(header, CTA_FILTER);
  mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, flags);
  mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, 0);
  mnl_attr_nest_end(header, filter);
  mnl_attr_put_u32(header, CTA_STATUS, 0);
  mnl_attr_put_u32(header, CTA_STATUS_MASK, htonl(IPS_SRC_NAT | IPS_DST_NAT));
}

// Zero where it has none.
uint16_t DestinationPort(const nlmsghdr* connection) {
  uint16_t port = 0;
  ForEachAttribute(connection, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) != CTA_TUPLE_ORIG) return;
    ForEachNested(attribute, [&](const nlattr* part) {
      if (mnl_attr_get_type(part) != CTA_TUPLE_PROTO) return;
      ForEachNested(part, [&](const nlattr* one) {
        if (mnl_attr_get_type(one) == CTA_PROTO_DST_PORT) port = ntohs(mnl_attr_get_u16(one));
      });
    });
  });
  return port;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ConnectionTracking>> ConnectionTracking::Open() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  return std::unique_ptr<ConnectionTracking>(new ConnectionTracking(std::move(socket)));
}

absl::Status ConnectionTracking::ForgetThoseTo(uint32_t address) {
  NetlinkBatch batch;
  nlmsghdr* header =
      StartConntrack(batch, IPCTNL_MSG_CT_DELETE, 0, AF_INET, "forget tracked connections");
  nlattr* tuple = mnl_attr_nest_start(header, CTA_TUPLE_REPLY);
  nlattr* addresses = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put_u32(header, CTA_IP_V4_SRC, htonl(address));
  mnl_attr_nest_end(header, addresses);
  mnl_attr_nest_end(header, tuple);
  nlattr* filter = mnl_attr_nest_start(header, CTA_FILTER);
  mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, 0);
  mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, kFilterBySource);
  mnl_attr_nest_end(header, filter);
  absl::MutexLock lock(&mutex_);
  return socket_.Run(batch);
}

absl::StatusOr<std::set<uint16_t>> ConnectionTracking::UntranslatedPorts() {
  std::set<uint16_t> ports;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    NetlinkBatch batch;
    AddUntranslated(
        StartConntrack(batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, "list tracked connections"),
        {});
    RETURN_IF_ERROR(socket_.Query(batch, [&ports](const nlmsghdr* connection) {
      ports.insert(DestinationPort(connection));
    }));
  }
  return ports;
}

absl::Status ConnectionTracking::ForgetUntranslated(std::vector<UdpPort> ports) {
  absl::MutexLock lock(&mutex_);
  if (ports.size() > kFewPorts) {
    ASSIGN_OR_RETURN(const std::set<uint16_t> present, UntranslatedPorts());
    std::erase_if(ports, [&](const UdpPort& one) { return !present.contains(one.port); });
  }
  if (ports.empty()) return absl::OkStatus();
  NetlinkBatch batch;
  for (const UdpPort& port : ports) {
    AddUntranslated(StartConntrack(batch, IPCTNL_MSG_CT_DELETE, 0, port.v6 ? AF_INET6 : AF_INET,
                                   "forget connections to a port"),
                    port);
  }
  return socket_.Run(batch);
}

}  // namespace slipway::agent
