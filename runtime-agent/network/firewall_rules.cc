#include "runtime-agent/network/firewall_rules.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

extern "C" {
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
}

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime-agent/network/nft_rule.h"

namespace slipway::agent {
namespace {

constexpr size_t kElementsPerMessage = 96;
constexpr uint8_t kInet = NFPROTO_INET;
constexpr uint8_t kBridge = NFPROTO_BRIDGE;

// nft(8)'s numbers of data types, of which it makes concatenations by shifting 6 bits; they are
// only for display.
constexpr uint32_t kAddress = 7, kAddress6 = 8, kEther = 9, kProtocol = 12, kService = 13,
                   kIfname = 41;
constexpr uint32_t Concat(uint32_t left, uint32_t right) { return left << 6 | right; }

// The state bits as nf_conntrack_common.h numbers them: 1 << (ctinfo + 1).
constexpr uint32_t kEstablishedOrRelated = 1 << 1 | 1 << 2;

struct SetLayout {
  const char* name;
  uint8_t family;
  uint32_t key_type;
  uint32_t key_bytes;
  uint32_t data_type;  // zero: no map
  uint32_t data_bytes;
  uint8_t interval_bytes = 0;  // of the first part of the key, which is an interval then
};

constexpr SetLayout kSets[] = {
    {"bridges", kInet, kIfname, 16, 0, 0},
    {"hairpin", kInet, Concat(kAddress, kIfname), 20, 0, 0, 4},
    {"hairpin6", kInet, Concat(kAddress6, kIfname), 32, 0, 0, 16},
    {"gateways", kInet, kAddress, 4, 0, 0},
    {"gateways6", kInet, kAddress6, 16, 0, 0},
    {"within", kInet, Concat(kIfname, kIfname), 32, 0, 0},
    {"outward", kInet, kIfname, 16, 0, 0},
    {"internal", kInet, kIfname, 16, 0, 0},
    {"ports_any", kInet, Concat(kProtocol, kService), 8, Concat(kAddress, kService), 8},
    {"ports_address", kInet, Concat(Concat(kAddress, kProtocol), kService), 12,
     Concat(kAddress, kService), 8},
    {"ports6_any", kInet, Concat(kProtocol, kService), 8, Concat(kAddress6, kService), 20},
    {"ports6_address", kInet, Concat(Concat(kAddress6, kProtocol), kService), 24,
     Concat(kAddress6, kService), 20},
    {"ports", kBridge, kIfname, 16, 0, 0},
    {"macs", kBridge, Concat(kIfname, kEther), 24, 0, 0},
    {"owners", kBridge, Concat(Concat(kIfname, kEther), kAddress), 28, 0, 0},
    {"owners6", kBridge, Concat(kIfname, kAddress6), 32, 0, 0},
};

const SetLayout& LayoutOf(FirewallSet set) { return kSets[static_cast<size_t>(set)]; }
const char* NameOf(FirewallSet set) { return LayoutOf(set).name; }

// Parts of a key or value are 32-bit slots, each value left-aligned in network byte order.
class Slots {
 public:
  Slots& Name(const std::string& interface) {
    char padded[IFNAMSIZ] = {};
    memcpy(padded, interface.data(), std::min(interface.size(), sizeof(padded) - 1));
    bytes_.append(padded, sizeof(padded));
    return *this;
  }
  Slots& Raw(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.append((4 - size % 4) % 4, '\0');
    return *this;
  }
  Slots& Number8(uint8_t value) { return Raw(&value, sizeof(value)); }
  Slots& Number16(uint16_t value) {
    value = htons(value);
    return Raw(&value, sizeof(value));
  }
  Slots& Number32(uint32_t value) {
    value = htonl(value);
    return Raw(&value, sizeof(value));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

void Bracket(NetlinkBatch& batch, uint16_t type) {
  batch.Add(type, 0, "nftables transaction");
  auto* family = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  family->nfgen_family = AF_UNSPEC;
  family->version = NFNETLINK_V0;
  family->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

using Set = std::unique_ptr<nftnl_set, decltype(&nftnl_set_free)>;

Set NewSet(const std::string& table, const SetLayout& layout) {
  Set set(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, layout.family);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, layout.name);
  return set;
}

// For nft(8), which would show strings of sets backwards otherwise.
void MarkHostByteOrder(nftnl_set* set) {
  constexpr uint8_t kKeyByteOrder = 0;
  constexpr uint32_t kHostEndian = 1;
  std::unique_ptr<nftnl_udata_buf, decltype(&nftnl_udata_buf_free)> data(nftnl_udata_buf_alloc(64),
                                                                         nftnl_udata_buf_free);
  nftnl_udata_put_u32(data.get(), kKeyByteOrder, kHostEndian);
  nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                     nftnl_udata_buf_len(data.get()));
}

void AddSets(NetlinkBatch& batch, const std::string& table, uint8_t family) {
  uint32_t id = 0;
  for (const SetLayout& layout : kSets) {
    ++id;
    if (layout.family != family) continue;
    Set set = NewSet(table, layout);
    nftnl_set_set_u32(set.get(), NFTNL_SET_ID, id);
    nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, layout.key_type);
    nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, layout.key_bytes);
    if (layout.key_type == kIfname) MarkHostByteOrder(set.get());
    if (layout.interval_bytes != 0) {
      const uint8_t parts[] = {layout.interval_bytes,
                               static_cast<uint8_t>(layout.key_bytes - layout.interval_bytes)};
      nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_INTERVAL | NFT_SET_CONCAT);
      nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, parts, sizeof(parts));
    }
    if (layout.data_type != 0) {
      nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
      nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, layout.data_type);
      nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, layout.data_bytes);
    }
    nlmsghdr* header =
        StartNft(batch, family, NFT_MSG_NEWSET, NLM_F_CREATE,
                 absl::StrCat("add set ", layout.name, " to nftables table ", table));
    nftnl_set_nlmsg_build_payload(header, set.get());
  }
}

void AddPublishRules(NetlinkBatch& batch, const std::string& table) {
  const auto rule = [&](const char* chain) { return NftRule(kInet, table, chain); };
  constexpr uint32_t kNetwork = NFT_PAYLOAD_NETWORK_HEADER;
  constexpr uint32_t kTransport = NFT_PAYLOAD_TRANSPORT_HEADER;
  rule("publish4")
      .Payload(kNetwork, 16, 4, NFT_REG32_00)
      .Meta(NFT_META_L4PROTO, NFT_REG32_01)
      .Payload(kTransport, 2, 2, NFT_REG32_02)
      .DnatByMap(NameOf(FirewallSet::kPortsAddress), NFPROTO_IPV4)
      .AddTo(batch);
  rule("publish4")
      .Meta(NFT_META_L4PROTO, NFT_REG32_00)
      .Payload(kTransport, 2, 2, NFT_REG32_01)
      .DnatByMap(NameOf(FirewallSet::kPortsAny), NFPROTO_IPV4)
      .AddTo(batch);
  Address6 loopback6 = {};
  loopback6[15] = 1;
  // Linux routes no translated packet from there: this is for PortRelay.
  rule("publish6")
      .Payload(kNetwork, 24, 16, NFT_REG_1)
      .Equals(loopback6)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  rule("publish6")
      .Payload(kNetwork, 24, 16, NFT_REG_1)
      .Meta(NFT_META_L4PROTO, NFT_REG32_04)
      .Payload(kTransport, 2, 2, NFT_REG32_05)
      .DnatByMap(NameOf(FirewallSet::kPorts6Address), NFPROTO_IPV6)
      .AddTo(batch);
  rule("publish6")
      .Meta(NFT_META_L4PROTO, NFT_REG32_00)
      .Payload(kTransport, 2, 2, NFT_REG32_01)
      .DnatByMap(NameOf(FirewallSet::kPorts6Any), NFPROTO_IPV6)
      .AddTo(batch);
  for (const char* chain : {"prerouting", "output"}) {
    rule(chain)
        .L3Protocol(NFPROTO_IPV4)
        .DestinationIsLocal()
        .Verdict(static_cast<uint32_t>(NFT_JUMP), "publish4")
        .AddTo(batch);
    rule(chain)
        .L3Protocol(NFPROTO_IPV6)
        .DestinationIsLocal()
        .Verdict(static_cast<uint32_t>(NFT_JUMP), "publish6")
        .AddTo(batch);
  }
}

void AddPostroutingRules(NetlinkBatch& batch, const std::string& table) {
  const auto rule = [&] { return NftRule(kInet, table, "postrouting"); };
  // With the source address in register 1.
  const auto from = [&](uint8_t family) {
    const bool v4 = family == NFPROTO_IPV4;
    NftRule made = rule();
    made.L3Protocol(family).Payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, v4 ? 4 : 16,
                                    NFT_REG_1);
    return made;
  };
  // Not by the incoming interface: of a packet that the bridge itself passes on (br_netfilter) none
  // is known here.
  rule()
      .L3Protocol(NFPROTO_IPV4)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 12, 4, NFT_REG32_00)
      .Meta(NFT_META_OIFNAME, NFT_REG32_01)
      .In(NameOf(FirewallSet::kHairpin))
      .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
      .Masquerade()
      .AddTo(batch);
  from(NFPROTO_IPV6)
      .Meta(NFT_META_OIFNAME, NFT_REG_2)
      .In(NameOf(FirewallSet::kHairpin6))
      .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
      .Masquerade()
      .AddTo(batch);
  // Who is in the gateway's network too would answer by that one, where the address that was
  // asked is not its own.
  for (const uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
    from(family)
        .In(NameOf(family == NFPROTO_IPV4 ? FirewallSet::kGateways : FirewallSet::kGateways6))
        .Interface(false, NameOf(FirewallSet::kBridges))
        .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
        .Masquerade()
        .AddTo(batch);
  }
  rule()
      .Interface(true, NameOf(FirewallSet::kOutward))
      .Interface(false, NameOf(FirewallSet::kBridges), false)
      .Masquerade()
      .AddTo(batch);
  const uint32_t loopback_mask = htonl(0xff000000);
  from(NFPROTO_IPV4)
      .Mask(&loopback_mask, sizeof(loopback_mask))
      .Equals(htonl(0x7f000000))
      .Interface(false, NameOf(FirewallSet::kBridges))
      .Masquerade()
      .AddTo(batch);
}

void AddForwardRules(NetlinkBatch& batch, const std::string& table) {
  const auto rule = [&] { return NftRule(kInet, table, "forward"); };
  rule().Conntrack(NFT_CT_STATE, kEstablishedOrRelated).Verdict(NF_ACCEPT).AddTo(batch);
  rule().InterfacePair(NameOf(FirewallSet::kWithin)).Verdict(NF_ACCEPT).AddTo(batch);
  rule().Interface(true, NameOf(FirewallSet::kInternal)).Verdict(NF_DROP).AddTo(batch);
  rule().Interface(false, NameOf(FirewallSet::kInternal)).Verdict(NF_DROP).AddTo(batch);
  rule()
      .Interface(false, NameOf(FirewallSet::kBridges))
      .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  rule().Interface(false, NameOf(FirewallSet::kBridges)).Verdict(NF_DROP).AddTo(batch);
}

void AddInetTable(NetlinkBatch& batch, const std::string& table) {
  AddNftTable(batch, kInet, table);
  AddSets(batch, table, kInet);
  for (const char* chain : {"publish4", "publish6"}) {
    AddNftChain(batch, kInet, table, chain, nullptr, 0, 0);
  }
  AddNftChain(batch, kInet, table, "guard", "filter", NF_INET_PRE_ROUTING, -300);
  AddNftChain(batch, kInet, table, "prerouting", "nat", NF_INET_PRE_ROUTING, -100);
  AddNftChain(batch, kInet, table, "output", "nat", NF_INET_LOCAL_OUT, -100);
  AddNftChain(batch, kInet, table, "postrouting", "nat", NF_INET_POST_ROUTING, 100);
  AddNftChain(batch, kInet, table, "forward", "filter", NF_INET_FORWARD, 0);
  const uint32_t loopback_mask = htonl(0xff000000);
  NftRule(kInet, table, "guard")
      .L3Protocol(NFPROTO_IPV4)
      .Interface(true, NameOf(FirewallSet::kBridges))
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_REG_1)
      .Mask(&loopback_mask, sizeof(loopback_mask))
      .Equals(htonl(0x7f000000))
      .Verdict(NF_DROP)
      .AddTo(batch);
  AddPublishRules(batch, table);
  AddPostroutingRules(batch, table);
  AddForwardRules(batch, table);
}

constexpr uint8_t kIcmp6 = 58;
constexpr uint8_t kRouterAdvertisement = 134, kNeighbourAdvertisement = 136, kRedirect = 137;

void AddSource6Rules(NetlinkBatch& batch, const std::string& table) {
  const auto rule = [&] { return NftRule(kBridge, table, "source6"); };
  // By the header that is found, not at a fixed place: extension headers may come before it.
  const auto icmp = [&](uint8_t type) {
    NftRule made = rule();
    made.Meta(NFT_META_L4PROTO, NFT_REG_1)
        .Equals(kIcmp6)
        .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1)
        .Equals(type);
    return made;
  };
  for (const uint8_t type : {kRouterAdvertisement, kRedirect}) {
    icmp(type).Verdict(NF_DROP).AddTo(batch);
  }
  icmp(kNeighbourAdvertisement)
      .Meta(NFT_META_IIFNAME, NFT_REG_1)
      .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, NFT_REG_2)
      .In(NameOf(FirewallSet::kOwners6), false)
      .Verdict(NF_DROP)
      .AddTo(batch);
  // Of who looks whether an address is free, and who joins groups.
  rule()
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 16, NFT_REG_1)
      .Equals(Address6{})
      .Meta(NFT_META_L4PROTO, NFT_REG_1)
      .Equals(kIcmp6)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  rule()
      .Meta(NFT_META_IIFNAME, NFT_REG_1)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 16, NFT_REG_2)
      .In(NameOf(FirewallSet::kOwners6), false)
      .Verdict(NF_DROP)
      .AddTo(batch);
}

void AddBridgeTable(NetlinkBatch& batch, const std::string& table) {
  AddNftTable(batch, kBridge, table);
  AddSets(batch, table, kBridge);
  AddNftChain(batch, kBridge, table, "source6", nullptr, 0, 0);
  AddNftChain(batch, kBridge, table, "source", "filter", NF_INET_PRE_ROUTING, -300);
  const auto rule = [&] { return NftRule(kBridge, table, "source"); };
  const auto of = [&](uint16_t protocol) {
    NftRule made = rule();
    made.Meta(NFT_META_PROTOCOL, NFT_REG_1).Equals(htons(protocol));
    return made;
  };
  // First what there is most of: one look-up for a packet of a container that is as it should be.
  of(ETH_P_IP)
      .Meta(NFT_META_IIFNAME, NFT_REG_1)
      .Payload(NFT_PAYLOAD_LL_HEADER, 6, 6, NFT_REG_2)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 12, 4, NFT_REG32_06)
      .In(NameOf(FirewallSet::kOwners))
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  rule().Interface(true, NameOf(FirewallSet::kPorts), false).Verdict(NF_ACCEPT).AddTo(batch);
  rule()
      .Meta(NFT_META_IIFNAME, NFT_REG_1)
      .Payload(NFT_PAYLOAD_LL_HEADER, 6, 6, NFT_REG_2)
      .In(NameOf(FirewallSet::kMacs), false)
      .Verdict(NF_DROP)
      .AddTo(batch);
  rule()
      .Meta(NFT_META_PROTOCOL, NFT_REG_1)
      .Equals(htons(ETH_P_ARP), false)
      .Equals(htons(ETH_P_IPV6), false)
      .Verdict(NF_DROP)
      .AddTo(batch);
  of(ETH_P_ARP)
      .Meta(NFT_META_IIFNAME, NFT_REG_1)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 6, NFT_REG_2)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 14, 4, NFT_REG32_06)
      .In(NameOf(FirewallSet::kOwners), false)
      .Verdict(NF_DROP)
      .AddTo(batch);
  of(ETH_P_IPV6).Verdict(static_cast<uint32_t>(NFT_JUMP), "source6").AddTo(batch);
  AddSource6Rules(batch, table);
}

std::string PairOf(const std::string& bridge) { return Slots().Name(bridge).Name(bridge).Take(); }

}  // namespace

void AppendElements(const FirewallNetwork& network, std::vector<FirewallElement>& elements) {
  const std::string name = Slots().Name(network.bridge).Take();
  elements.push_back({FirewallSet::kBridges, name, ""});
  elements.push_back({FirewallSet::kHairpin,
                      Slots().Number32(network.subnet.network).Name(network.bridge).Take(), "",
                      Slots().Number32(network.subnet.broadcast()).Name(network.bridge).Take()});
  if (network.subnet6.has_value()) {
    const Address6 first = network.subnet6->network;
    const Address6 last = network.subnet6->last();
    elements.push_back({FirewallSet::kHairpin6,
                        Slots().Raw(first.data(), first.size()).Name(network.bridge).Take(), "",
                        Slots().Raw(last.data(), last.size()).Name(network.bridge).Take()});
  }
  if (network.gateway != 0) {
    elements.push_back({FirewallSet::kGateways, Slots().Number32(network.gateway).Take(), ""});
  }
  if (network.gateway6 != Address6{}) {
    elements.push_back({FirewallSet::kGateways6,
                        Slots().Raw(network.gateway6.data(), network.gateway6.size()).Take(), ""});
  }
  if (network.icc) elements.push_back({FirewallSet::kWithin, PairOf(network.bridge), ""});
  if (network.internal) {
    elements.push_back({FirewallSet::kInternal, name, ""});
  } else if (network.masquerade) {
    elements.push_back({FirewallSet::kOutward, name, ""});
  }
}

void AppendElements(const NatEntry& entry, std::vector<FirewallElement>& elements) {
  Slots key;
  if (entry.host_address != 0) key.Number32(entry.host_address);
  key.Number8(entry.protocol).Number16(entry.host_port);
  elements.push_back({entry.host_address != 0 ? FirewallSet::kPortsAddress : FirewallSet::kPortsAny,
                      key.Take(), Slots().Number32(entry.address).Number16(entry.port).Take()});
}

void AppendElements(const NatEntry6& entry, std::vector<FirewallElement>& elements) {
  const bool any = entry.host_address == Address6{};
  Slots key;
  if (!any) key.Raw(entry.host_address.data(), entry.host_address.size());
  key.Number8(entry.protocol).Number16(entry.host_port);
  elements.push_back(
      {any ? FirewallSet::kPorts6Any : FirewallSet::kPorts6Address, key.Take(),
       Slots().Raw(entry.address.data(), entry.address.size()).Number16(entry.port).Take()});
}

void AppendElements(const GuardedPort& port, std::vector<FirewallElement>& elements) {
  const auto key = [&] { return Slots().Name(port.interface); };
  elements.push_back({FirewallSet::kPorts, key().Take(), ""});
  elements.push_back({FirewallSet::kMacs, key().Raw(port.mac.data(), port.mac.size()).Take(), ""});
  elements.push_back({FirewallSet::kOwners,
                      key().Raw(port.mac.data(), port.mac.size()).Number32(port.address).Take(),
                      ""});
  const auto own6 = [&](const Address6& address) {
    elements.push_back(
        {FirewallSet::kOwners6, key().Raw(address.data(), address.size()).Take(), ""});
  };
  own6(LinkLocalOf(port.mac));
  if (port.address6.has_value()) own6(*port.address6);
}

bool IsBridgeSet(FirewallSet set) { return LayoutOf(set).family == kBridge; }

void BeginTransaction(NetlinkBatch& batch) { Bracket(batch, NFNL_MSG_BATCH_BEGIN); }

void EndTransaction(NetlinkBatch& batch) {
  batch.AcknowledgeCurrent();
  Bracket(batch, NFNL_MSG_BATCH_END);
}

void AddNftTable(NetlinkBatch& batch, uint8_t family, const std::string& table) {
  nlmsghdr* header = StartNft(batch, family, NFT_MSG_NEWTABLE, NLM_F_CREATE,
                              absl::StrCat("make nftables table ", table));
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table.c_str());
}

void AddKeeperTable(NetlinkBatch& batch, const std::string& table) {
  nlmsghdr* header = StartNft(batch, kInet, NFT_MSG_NEWTABLE, NLM_F_CREATE,
                              absl::StrCat("make nftables table ", table));
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table.c_str());
  mnl_attr_put_u32(header, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
  AddNftChain(batch, kInet, table, "prerouting", "nat", NF_INET_PRE_ROUTING, -99);
  AddNftChain(batch, kInet, table, "postrouting", "nat", NF_INET_POST_ROUTING, 101);
  // Chains alone do not keep the tracking of connections on; what asks for a state does.
  NftRule(kInet, table, "postrouting")
      .Conntrack(NFT_CT_STATE, kEstablishedOrRelated)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
}

void AddNftChain(NetlinkBatch& batch, uint8_t family, const std::string& table, const char* name,
                 const char* type, uint32_t hook, int32_t priority) {
  std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(),
                                                                  nftnl_chain_free);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, family);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  if (type != nullptr) {
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, type);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nlmsghdr* header = StartNft(batch, family, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                              absl::StrCat("add chain ", name, " to nftables table ", table));
  nftnl_chain_nlmsg_build_payload(header, chain.get());
}

void DropNftTable(NetlinkBatch& batch, uint8_t family, const std::string& table) {
  AddNftTable(batch, family, table);
  nlmsghdr* header =
      StartNft(batch, family, NFT_MSG_DELTABLE, 0, absl::StrCat("delete nftables table ", table));
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table.c_str());
}

void DropTables(NetlinkBatch& batch, const std::string& table, bool bridge_family) {
  DropNftTable(batch, NFPROTO_IPV4, table);
  DropNftTable(batch, kInet, table);
  if (bridge_family) DropNftTable(batch, kBridge, table);
}

void AddTables(NetlinkBatch& batch, const std::string& table, bool bridge_family) {
  AddInetTable(batch, table);
  if (bridge_family) AddBridgeTable(batch, table);
}

void ChangeElements(NetlinkBatch& batch, const std::string& table,
                    const std::vector<FirewallElement>& elements, bool add) {
  std::map<FirewallSet, std::vector<const FirewallElement*>> by_set;
  for (const FirewallElement& element : elements) by_set[element.set].push_back(&element);
  for (const auto& [id, members] : by_set) {
    const SetLayout& layout = LayoutOf(id);
    for (size_t start = 0; start < members.size(); start += kElementsPerMessage) {
      Set set = NewSet(table, layout);
      for (size_t i = start; i < std::min(members.size(), start + kElementsPerMessage); ++i) {
        nftnl_set_elem* made = nftnl_set_elem_alloc();
        nftnl_set_elem_set(made, NFTNL_SET_ELEM_KEY, members[i]->key.data(),
                           static_cast<uint32_t>(members[i]->key.size()));
        if (layout.interval_bytes != 0) {
          nftnl_set_elem_set(made, NFTNL_SET_ELEM_KEY_END, members[i]->key_end.data(),
                             static_cast<uint32_t>(members[i]->key_end.size()));
        }
        if (layout.data_type != 0) {
          nftnl_set_elem_set(made, NFTNL_SET_ELEM_DATA, members[i]->value.data(),
                             static_cast<uint32_t>(members[i]->value.size()));
        }
        nftnl_set_elem_add(set.get(), made);
      }
      nlmsghdr* header = StartNft(
          batch, layout.family, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
          add ? NLM_F_CREATE : 0,
          absl::StrCat(add ? "add to" : "take from", " set ", layout.name, " of table ", table));
      nftnl_set_elems_nlmsg_build_payload(header, set.get());
    }
  }
}

}  // namespace slipway::agent
