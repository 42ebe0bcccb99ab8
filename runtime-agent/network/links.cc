#include "runtime-agent/network/links.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// An RTM_NEWLINK request's head; `up` sets IFF_UP.
nlmsghdr* StartLink(NetlinkBatch& batch, uint16_t type, uint16_t flags, int index, bool up,
                    std::string description) {
  nlmsghdr* header = batch.Add(type, flags, std::move(description));
  auto* info = static_cast<ifinfomsg*>(batch.AddExtra(sizeof(ifinfomsg)));
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = index;
  if (up) info->ifi_flags = info->ifi_change = IFF_UP;
  return header;
}

int LinkIndex(const nlmsghdr* answer) {
  return static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(answer))->ifi_index;
}

}  // namespace

void AddBridge(NetlinkBatch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu) {
  nlmsghdr* header = StartLink(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, /*up=*/true,
                               absl::StrCat("make bridge ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, mtu);
  // Fixed, or else it would change with the interfaces that come and go.
  mnl_attr_put(header, IFLA_ADDRESS, mac.size(), mac.data());
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "bridge");
  mnl_attr_nest_end(header, link);
}

void AddVethPair(NetlinkBatch& batch, const VethPair& pair) {
  nlmsghdr* header =
      StartLink(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, /*up=*/true,
                absl::StrCat("make veth ", pair.host_name, " in bridge ", pair.bridge_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, pair.host_name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, pair.mtu);
  mnl_attr_put_u32(header, IFLA_MASTER, static_cast<uint32_t>(pair.bridge_index));
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
  // Its flags stay zero: a peer cannot be up before the two are joined (ENOTCONN).
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, pair.peer_name.c_str());
  mnl_attr_put(header, IFLA_ADDRESS, pair.peer_mac.size(), pair.peer_mac.data());
  mnl_attr_put_u32(header, IFLA_MTU, pair.mtu);
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<uint32_t>(pair.peer_netns_fd));
  mnl_attr_nest_end(header, peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);

  header = StartLink(batch, RTM_NEWLINK, 0, 0, /*up=*/false,
                     absl::StrCat("set hairpin mode of ", pair.host_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, pair.host_name.c_str());
  link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_SLAVE_KIND, "bridge");
  data = mnl_attr_nest_start(header, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(header, IFLA_BRPORT_MODE, 1);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
}

void SetLinkUp(NetlinkBatch& batch, int index) {
  StartLink(batch, RTM_NEWLINK, 0, index, /*up=*/true,
            absl::StrCat("set interface ", index, " up"));
}

void DeleteLink(NetlinkBatch& batch, const std::string& name) {
  nlmsghdr* header =
      StartLink(batch, RTM_DELLINK, 0, 0, /*up=*/false, absl::StrCat("delete interface ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
}

void AddAddress(NetlinkBatch& batch, int index, uint32_t address, uint32_t prefix_length) {
  nlmsghdr* header = batch.Add(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
                               absl::StrCat("add address to interface ", index));
  auto* info = static_cast<ifaddrmsg*>(batch.AddExtra(sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET;
  info->ifa_prefixlen = static_cast<uint8_t>(prefix_length);
  info->ifa_scope = RT_SCOPE_UNIVERSE;
  info->ifa_index = static_cast<uint32_t>(index);
  mnl_attr_put_u32(header, IFA_LOCAL, htonl(address));
  mnl_attr_put_u32(header, IFA_ADDRESS, htonl(address));
  uint32_t broadcast = prefix_length >= 31 ? address : address | (0xffffffffu >> prefix_length);
  mnl_attr_put_u32(header, IFA_BROADCAST, htonl(broadcast));
}

void AddDefaultRoute(NetlinkBatch& batch, uint32_t gateway, int index) {
  nlmsghdr* header = batch.Add(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add the default route");
  auto* route = static_cast<rtmsg*>(batch.AddExtra(sizeof(rtmsg)));
  route->rtm_family = AF_INET;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_BOOT;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  mnl_attr_put_u32(header, RTA_GATEWAY, htonl(gateway));
  mnl_attr_put_u32(header, RTA_OIF, static_cast<uint32_t>(index));
}

absl::StatusOr<int> FindLink(NetlinkSocket& socket, const std::string& name) {
  NetlinkBatch batch;
  nlmsghdr* header =
      StartLink(batch, RTM_GETLINK, 0, 0, /*up=*/false, absl::StrCat("find interface ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  int index = 0;
  absl::Status status =
      socket.Query(batch, [&index](const nlmsghdr* answer) { index = LinkIndex(answer); });
  if (status.ok()) return index;
  if (absl::StrContains(status.message(), "ENODEV")) {
    return absl::NotFoundError(absl::StrCat("no interface ", name));
  }
  return status;
}

absl::StatusOr<std::vector<std::string>> ListBridgePorts(NetlinkSocket& socket, int bridge_index) {
  NetlinkBatch batch;
  nlmsghdr* header = StartLink(batch, RTM_GETLINK, NLM_F_DUMP, 0, /*up=*/false, "list interfaces");
  mnl_attr_put_u32(header, IFLA_MASTER, static_cast<uint32_t>(bridge_index));
  std::vector<std::string> names;
  RETURN_IF_ERROR(socket.Query(batch, [&](const nlmsghdr* answer) {
    std::string name;
    bool in_bridge = false;
    ForEachAttribute(answer, sizeof(ifinfomsg), [&](const nlattr* attribute) {
      uint16_t type = mnl_attr_get_type(attribute);
      if (type == IFLA_IFNAME) name = mnl_attr_get_str(attribute);
      if (type == IFLA_MASTER) {
        in_bridge = mnl_attr_get_u32(attribute) == static_cast<uint32_t>(bridge_index);
      }
    });
    if (in_bridge) names.push_back(std::move(name));
  }));
  return names;
}

}  // namespace slipway::agent
