#include "runtime-agent/network/links.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Of addresses that are marked, as routes have one (ip-address(8), proto). Ours by no registry.
constexpr uint8_t kAddressProtocol = 0x53;

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

// An interface that is being made takes none.
void AddAlias(NetlinkBatch& batch, const std::string& name, const std::string& alias) {
  nlmsghdr* header = StartLink(batch, RTM_NEWLINK, 0, 0, /*up=*/true, absl::StrCat("mark ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  mnl_attr_put_str(header, IFLA_IFALIAS, alias.c_str());
}

}  // namespace

void AddBridge(NetlinkBatch& batch, const std::string& name, const MacAddress& mac, uint32_t mtu,
               const std::string& alias) {
  nlmsghdr* header = StartLink(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, /*up=*/true,
                               absl::StrCat("make bridge ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, mtu);
  // Fixed, or else it would change with the interfaces that come and go.
  mnl_attr_put(header, IFLA_ADDRESS, mac.size(), mac.data());
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "bridge");
  mnl_attr_nest_end(header, link);
  if (!alias.empty()) AddAlias(batch, name, alias);
}

void AddChildLink(NetlinkBatch& batch, const ChildLink& link) {
  nlmsghdr* header =
      StartLink(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, /*up=*/false,
                absl::StrCat("make ", link.kind, " interface upon ", link.parent_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, link.name.c_str());
  mnl_attr_put_u32(header, IFLA_LINK, static_cast<uint32_t>(link.parent_index));
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<uint32_t>(link.netns_fd));
  if (link.mtu != 0) mnl_attr_put_u32(header, IFLA_MTU, link.mtu);
  const bool macvlan = link.kind == "macvlan";
  if (macvlan) mnl_attr_put(header, IFLA_ADDRESS, link.mac.size(), link.mac.data());
  nlattr* info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, link.kind.c_str());
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  if (macvlan) {
    mnl_attr_put_u32(header, IFLA_MACVLAN_MODE, link.mode);
  } else {
    mnl_attr_put_u16(header, IFLA_IPVLAN_MODE, static_cast<uint16_t>(link.mode));
  }
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, info);
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
  if (pair.isolated) mnl_attr_put_u8(header, IFLA_BRPORT_ISOLATED, 1);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
}

void AddCable(NetlinkBatch& batch, const Cable& cable) {
  nlmsghdr* header = StartLink(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, /*up=*/true,
                               absl::StrCat("make cable ", cable.first_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, cable.first_name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, cable.mtu);
  if (cable.first_bridge != 0) {
    mnl_attr_put_u32(header, IFLA_MASTER, static_cast<uint32_t>(cable.first_bridge));
  }
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, cable.second_name.c_str());
  mnl_attr_put_u32(header, IFLA_MTU, cable.mtu);
  mnl_attr_nest_end(header, peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);

  header = StartLink(batch, RTM_NEWLINK, 0, 0, /*up=*/true,
                     absl::StrCat("plug in cable ", cable.second_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, cable.second_name.c_str());
  if (cable.second_bridge != 0) {
    mnl_attr_put_u32(header, IFLA_MASTER, static_cast<uint32_t>(cable.second_bridge));
  }
  if (!cable.alias.empty()) AddAlias(batch, cable.first_name, cable.alias);
  if (!cable.isolated) return;

  header = StartLink(batch, RTM_NEWLINK, 0, 0, /*up=*/false,
                     absl::StrCat("isolate cable ", cable.first_name));
  mnl_attr_put_strz(header, IFLA_IFNAME, cable.first_name.c_str());
  link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_SLAVE_KIND, "bridge");
  data = mnl_attr_nest_start(header, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(header, IFLA_BRPORT_ISOLATED, 1);
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

void AddAddress(NetlinkBatch& batch, int index, uint32_t address, uint32_t prefix_length,
                bool marked) {
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
  if (marked) mnl_attr_put_u8(header, IFA_PROTO, kAddressProtocol);
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

void AddAddress6(NetlinkBatch& batch, int index, const Address6& address, uint32_t prefix_length,
                 bool marked) {
  nlmsghdr* header = batch.Add(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
                               absl::StrCat("add IPv6 address to interface ", index));
  auto* info = static_cast<ifaddrmsg*>(batch.AddExtra(sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET6;
  info->ifa_prefixlen = static_cast<uint8_t>(prefix_length);
  // Nobody else has it: the pool says so.
  info->ifa_flags = IFA_F_NODAD;
  info->ifa_scope = RT_SCOPE_UNIVERSE;
  info->ifa_index = static_cast<uint32_t>(index);
  mnl_attr_put(header, IFA_LOCAL, address.size(), address.data());
  mnl_attr_put(header, IFA_ADDRESS, address.size(), address.data());
  if (marked) mnl_attr_put_u8(header, IFA_PROTO, kAddressProtocol);
}

void DeleteAddress(NetlinkBatch& batch, int index, const LinkAddress& address) {
  nlmsghdr* header = batch.Add(RTM_DELADDR, 0, absl::StrCat("delete address of interface ", index));
  auto* info = static_cast<ifaddrmsg*>(batch.AddExtra(sizeof(ifaddrmsg)));
  info->ifa_family = address.bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  info->ifa_prefixlen = static_cast<uint8_t>(address.prefix_length);
  info->ifa_index = static_cast<uint32_t>(index);
  // With both the kernel compares the length of the prefix too.
  mnl_attr_put(header, IFA_LOCAL, address.bytes.size(), address.bytes.data());
  mnl_attr_put(header, IFA_ADDRESS, address.bytes.size(), address.bytes.data());
}

void AddDefaultRoute6(NetlinkBatch& batch, const Address6& gateway, int index) {
  nlmsghdr* header =
      batch.Add(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add the default IPv6 route");
  auto* route = static_cast<rtmsg*>(batch.AddExtra(sizeof(rtmsg)));
  route->rtm_family = AF_INET6;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_BOOT;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  mnl_attr_put(header, RTA_GATEWAY, gateway.size(), gateway.data());
  mnl_attr_put_u32(header, RTA_OIF, static_cast<uint32_t>(index));
}

void DeleteDefaultRoutes(NetlinkSocket& socket) {
  for (const unsigned char family : {AF_INET, AF_INET6}) {
    // Each call takes one of them.
    for (int i = 0; i < 4; ++i) {
      NetlinkBatch batch;
      batch.Add(RTM_DELROUTE, 0, "delete the default route");
      auto* route = static_cast<rtmsg*>(batch.AddExtra(sizeof(rtmsg)));
      route->rtm_family = family;
      route->rtm_table = RT_TABLE_MAIN;
      route->rtm_scope = RT_SCOPE_NOWHERE;
      if (!socket.Run(batch).ok()) break;
    }
  }
}

void SetRate(NetlinkBatch& batch, int index, uint64_t bytes_per_second, uint32_t mtu) {
  const bool limited = bytes_per_second != 0;
  nlmsghdr* header =
      batch.Add(limited ? RTM_NEWQDISC : RTM_DELQDISC, limited ? NLM_F_CREATE | NLM_F_REPLACE : 0,
                absl::StrCat("limit the rate of interface ", index));
  auto* info = static_cast<tcmsg*>(batch.AddExtra(sizeof(tcmsg)));
  info->tcm_family = AF_UNSPEC;
  info->tcm_ifindex = index;
  info->tcm_parent = TC_H_ROOT;
  info->tcm_handle = TC_H_MAKE(1u << 16, 0);
  if (!limited) return;
  // A burst of 10 ms, but of no less than what the kernel hands over in one piece.
  const uint64_t burst = std::max<uint64_t>(bytes_per_second / 100, 65536 + mtu);
  // Psched ticks are 64 ns (linux/pkt_sched.h, PSCHED_SHIFT).
  const auto ticks = static_cast<uint32_t>(
      std::min<uint64_t>(UINT32_MAX, burst * 1'000'000'000 / bytes_per_second >> 6));
  tc_tbf_qopt options = {};
  options.rate.rate = static_cast<uint32_t>(std::min<uint64_t>(bytes_per_second, UINT32_MAX));
  options.rate.linklayer = TC_LINKLAYER_ETHERNET;
  // 50 ms of it may wait.
  options.limit = static_cast<uint32_t>(
      std::min<uint64_t>(UINT32_MAX, std::max<uint64_t>(bytes_per_second / 20, 4 * burst)));
  options.buffer = ticks;
  mnl_attr_put_strz(header, TCA_KIND, "tbf");
  nlattr* nest = mnl_attr_nest_start(header, TCA_OPTIONS);
  mnl_attr_put(header, TCA_TBF_PARMS, sizeof(options), &options);
  mnl_attr_put_u32(header, TCA_TBF_BURST,
                   static_cast<uint32_t>(std::min<uint64_t>(burst, UINT32_MAX)));
  if (bytes_per_second > UINT32_MAX) mnl_attr_put_u64(header, TCA_TBF_RATE64, bytes_per_second);
  mnl_attr_nest_end(header, nest);
}

absl::StatusOr<Link> ReadLink(NetlinkSocket& socket, const std::string& name) {
  NetlinkBatch batch;
  nlmsghdr* header =
      StartLink(batch, RTM_GETLINK, 0, 0, /*up=*/false, absl::StrCat("find interface ", name));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  Link link;
  absl::Status status = socket.Query(batch, [&link](const nlmsghdr* answer) {
    link.index = LinkIndex(answer);
    ForEachAttribute(answer, sizeof(ifinfomsg), [&link](const nlattr* attribute) {
      const uint16_t type = mnl_attr_get_type(attribute);
      if (type == IFLA_IFALIAS) link.alias = mnl_attr_get_str(attribute);
      if (type != IFLA_LINKINFO) return;
      ForEachNested(attribute, [&link](const nlattr* part) {
        if (mnl_attr_get_type(part) == IFLA_INFO_KIND) link.kind = mnl_attr_get_str(part);
      });
    });
  });
  if (status.ok()) return link;
  if (absl::StrContains(status.message(), "ENODEV")) {
    return absl::NotFoundError(absl::StrCat("no interface ", name));
  }
  return status;
}

absl::StatusOr<int> FindLink(NetlinkSocket& socket, const std::string& name) {
  ASSIGN_OR_RETURN(const Link link, ReadLink(socket, name));
  return link.index;
}

absl::StatusOr<std::vector<LinkAddress>> ListAddresses(NetlinkSocket& socket, int index) {
  NetlinkBatch batch;
  batch.Add(RTM_GETADDR, NLM_F_DUMP, "list addresses");
  static_cast<ifaddrmsg*>(batch.AddExtra(sizeof(ifaddrmsg)))->ifa_family = AF_UNSPEC;
  std::vector<LinkAddress> found;
  RETURN_IF_ERROR(socket.Query(batch, [&](const nlmsghdr* answer) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(answer));
    if (info->ifa_index != static_cast<uint32_t>(index)) return;
    LinkAddress address{.prefix_length = info->ifa_prefixlen};
    ForEachAttribute(answer, sizeof(ifaddrmsg), [&](const nlattr* attribute) {
      const uint16_t type = mnl_attr_get_type(attribute);
      // IPv6 has the local one only where there is a peer.
      if (type == IFA_LOCAL || (type == IFA_ADDRESS && address.bytes.empty())) {
        address.bytes.assign(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                             mnl_attr_get_payload_len(attribute));
      }
      if (type == IFA_PROTO) address.marked = mnl_attr_get_u8(attribute) == kAddressProtocol;
    });
    found.push_back(std::move(address));
  }));
  return found;
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

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ListAliased(
    NetlinkSocket& socket, const std::string& prefix) {
  NetlinkBatch batch;
  StartLink(batch, RTM_GETLINK, NLM_F_DUMP, 0, /*up=*/false, "list interfaces");
  std::vector<std::pair<std::string, std::string>> found;
  RETURN_IF_ERROR(socket.Query(batch, [&](const nlmsghdr* answer) {
    std::string name;
    std::string alias;
    ForEachAttribute(answer, sizeof(ifinfomsg), [&](const nlattr* attribute) {
      const uint16_t type = mnl_attr_get_type(attribute);
      if (type == IFLA_IFNAME) name = mnl_attr_get_str(attribute);
      if (type == IFLA_IFALIAS) alias = mnl_attr_get_str(attribute);
    });
    if (absl::StartsWith(alias, prefix)) found.emplace_back(std::move(name), std::move(alias));
  }));
  return found;
}

absl::StatusOr<bool> HasRouteInto(NetlinkSocket& socket, uint32_t network, uint32_t prefix_length) {
  NetlinkBatch batch;
  batch.Add(RTM_GETROUTE, NLM_F_DUMP, "list routes");
  static_cast<rtmsg*>(batch.AddExtra(sizeof(rtmsg)))->rtm_family = AF_INET;
  bool found = false;
  RETURN_IF_ERROR(socket.Query(batch, [&](const nlmsghdr* answer) {
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(answer));
    if (route->rtm_dst_len == 0 || route->rtm_type != RTN_UNICAST) return;
    uint32_t destination = 0;
    ForEachAttribute(answer, sizeof(rtmsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == RTA_DST) destination = ntohl(mnl_attr_get_u32(attribute));
    });
    const uint32_t bits = std::min<uint32_t>(route->rtm_dst_len, prefix_length);
    if (((destination ^ network) >> (32 - bits)) == 0) found = true;
  }));
  return found;
}

}  // namespace slipway::agent
