#include "runtime-agent/network/connection_tracking.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Bit 0 of the flags of CTA_FILTER: the source address counts.
constexpr uint32_t kFilterBySource = 1;

}  // namespace

absl::StatusOr<std::unique_ptr<ConnectionTracking>> ConnectionTracking::Open() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  return std::unique_ptr<ConnectionTracking>(new ConnectionTracking(std::move(socket)));
}

absl::Status ConnectionTracking::ForgetThoseTo(uint32_t address) {
  NetlinkBatch batch;
  nlmsghdr* header =
      batch.Add(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, "forget tracked connections");
  auto* family = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  family->nfgen_family = AF_INET;
  family->version = NFNETLINK_V0;
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

}  // namespace slipway::agent
