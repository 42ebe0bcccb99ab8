#include "runtime-agent/network/connection_tracking.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>

#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Bits of the flags of CTA_FILTER: what counts (net/netfilter/nf_conntrack_netlink.c).
constexpr uint32_t kFilterBySource = 1 << 0;
constexpr uint32_t kFilterByDestination = 1 << 1;
constexpr uint32_t kFilterByProtocol = 1 << 3;
constexpr uint32_t kFilterByDestinationPort = 1 << 5;
// Deleting by a filter is a look through the kernel's table for each port.
constexpr size_t kFewPorts = 16;
constexpr size_t kDeletedAtOnce = 256;
constexpr size_t kMaxForgotten = 65536;

nlmsghdr* StartConntrack(NetlinkBatch& batch, uint16_t type, uint16_t flags, uint8_t family,
                         const char* description) {
  nlmsghdr* header =
      batch.Add(static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, description);
  auto* head = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  head->nfgen_family = family;
  head->version = NFNETLINK_V0;
  return header;
}

// Whose original direction is UDP to this port, translated in neither address.
void AddUntranslated(nlmsghdr* header, const UdpPort& to) {
  uint32_t flags = kFilterByProtocol | kFilterByDestinationPort;
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
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(to.port));
  mnl_attr_nest_end(header, protocol);
  mnl_attr_nest_end(header, tuple);
  nlattr* filter = mnl_attr_nest_start(header, CTA_FILTER);
  mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, flags);
  mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, 0);
  mnl_attr_nest_end(header, filter);
  mnl_attr_put_u32(header, CTA_STATUS, 0);
  mnl_attr_put_u32(header, CTA_STATUS_MASK, htonl(IPS_SRC_NAT | IPS_DST_NAT));
}

void ReadTuple(const nlattr* tuple, bool original, TrackedConnection& to) {
  ForEachNested(tuple, [&](const nlattr* part) {
    const auto type = mnl_attr_get_type(part);
    if (type != CTA_TUPLE_IP && type != CTA_TUPLE_PROTO) return;
    ForEachNested(part, [&](const nlattr* one) {
      const auto of = mnl_attr_get_type(one);
      const size_t bytes = mnl_attr_get_payload_len(one);
      if (type == CTA_TUPLE_IP && bytes == sizeof(uint32_t)) {
        if (original && of == CTA_IP_V4_DST) to.destination = ntohl(mnl_attr_get_u32(one));
        if (!original && of == CTA_IP_V4_SRC) to.answers = ntohl(mnl_attr_get_u32(one));
      }
      if (type != CTA_TUPLE_PROTO || !original) return;
      if (of == CTA_PROTO_NUM && bytes == 1) to.protocol = mnl_attr_get_u8(one);
      if (of == CTA_PROTO_DST_PORT && bytes == 2) to.port = ntohs(mnl_attr_get_u16(one));
    });
  });
}

TrackedConnection ReadConnection(const nlmsghdr* message) {
  TrackedConnection connection;
  ForEachAttribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    const size_t bytes = mnl_attr_get_payload_len(attribute);
    switch (mnl_attr_get_type(attribute)) {
      case CTA_TUPLE_ORIG:
        connection.tuple.assign(static_cast<const char*>(mnl_attr_get_payload(attribute)), bytes);
        ReadTuple(attribute, /*original=*/true, connection);
        break;
      case CTA_TUPLE_REPLY:
        ReadTuple(attribute, /*original=*/false, connection);
        break;
      case CTA_STATUS:
        if (bytes == 4) connection.status = ntohl(mnl_attr_get_u32(attribute));
        break;
      case CTA_ZONE:
        if (bytes == 2) connection.zone = ntohs(mnl_attr_get_u16(attribute));
        break;
      default:
        break;
    }
  });
  return connection;
}

void AddThoseAnsweredBy(nlmsghdr* header, uint32_t address) {
  nlattr* tuple = mnl_attr_nest_start(header, CTA_TUPLE_REPLY);
  nlattr* addresses = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put_u32(header, CTA_IP_V4_SRC, htonl(address));
  mnl_attr_nest_end(header, addresses);
  mnl_attr_nest_end(header, tuple);
  nlattr* filter = mnl_attr_nest_start(header, CTA_FILTER);
  mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, 0);
  mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, kFilterBySource);
  mnl_attr_nest_end(header, filter);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ConnectionTracking>> ConnectionTracking::Open(bool filtered) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  return std::unique_ptr<ConnectionTracking>(new ConnectionTracking(std::move(socket), filtered));
}

// Each by its whole tuple, which every kernel takes.
absl::Status ConnectionTracking::Forget(
    uint8_t family, const std::function<bool(const TrackedConnection&)>& chosen) {
  NetlinkBatch dump;
  StartConntrack(dump, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, "list tracked connections");
  std::vector<TrackedConnection> found;
  RETURN_IF_ERROR(socket_.Query(dump, [&](const nlmsghdr* message) {
    TrackedConnection connection = ReadConnection(message);
    if (found.size() < kMaxForgotten && chosen(connection)) found.push_back(std::move(connection));
  }));
  absl::Status first;
  for (size_t i = 0; i < found.size(); i += kDeletedAtOnce) {
    NetlinkBatch batch;
    for (size_t j = i; j < std::min(i + kDeletedAtOnce, found.size()); ++j) {
      nlmsghdr* header =
          StartConntrack(batch, IPCTNL_MSG_CT_DELETE, 0, family, "forget a connection");
      mnl_attr_put(header, CTA_TUPLE_ORIG | NLA_F_NESTED, found[j].tuple.size(),
                   found[j].tuple.data());
      if (found[j].zone != 0) mnl_attr_put_u16(header, CTA_ZONE, htons(found[j].zone));
    }
    const absl::Status deleted = socket_.Run(batch);
    if (!absl::IsNotFound(deleted)) first.Update(deleted);  // it ended by itself
  }
  return first;
}

absl::Status ConnectionTracking::ForgetThoseTo(uint32_t address) {
  absl::MutexLock lock(&mutex_);
  if (filtered_) {
    NetlinkBatch batch;
    AddThoseAnsweredBy(
        StartConntrack(batch, IPCTNL_MSG_CT_DELETE, 0, AF_INET, "forget tracked connections"),
        address);
    filtered_ = socket_.Run(batch).ok();
    if (filtered_) return absl::OkStatus();
  }
  return Forget(AF_INET, [address](const auto& one) { return one.answers == address; });
}

absl::Status ConnectionTracking::ForgetUntranslated(const std::vector<UdpPort>& ports) {
  absl::MutexLock lock(&mutex_);
  if (filtered_ && ports.size() <= kFewPorts) {
    NetlinkBatch batch;
    for (const UdpPort& port : ports) {
      AddUntranslated(StartConntrack(batch, IPCTNL_MSG_CT_DELETE, 0, port.v6 ? AF_INET6 : AF_INET,
                                     "forget connections to a port"),
                      port);
    }
    filtered_ = socket_.Run(batch).ok();
    if (filtered_) return absl::OkStatus();
  }
  absl::Status first;
  for (const bool v6 : {false, true}) {
    // By port; zero: at every address.
    std::multimap<uint16_t, uint32_t> addresses;
    for (const UdpPort& port : ports) {
      if (port.v6 == v6) addresses.emplace(port.port, port.address);
    }
    if (addresses.empty()) continue;
    first.Update(Forget(v6 ? AF_INET6 : AF_INET, [&](const TrackedConnection& one) {
      if (one.protocol != IPPROTO_UDP || (one.status & (IPS_SRC_NAT | IPS_DST_NAT)) != 0) {
        return false;
      }
      const auto [begin, end] = addresses.equal_range(one.port);
      return std::any_of(begin, end, [&](const auto& wanted) {
        return wanted.second == 0 || wanted.second == one.destination;
      });
    }));
  }
  return first;
}

}  // namespace slipway::agent
