#include "runtime-agent/network/nat_rules.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

extern "C" {
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
}

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

constexpr const char* kAnyMap = "ports_any";
constexpr const char* kAddressMap = "ports_address";
constexpr size_t kElementsPerMessage = 128;

// nft(8)'s numbers of data types, of which it makes concatenations by shifting 6 bits; they are
// only for display.
constexpr uint32_t kTypeAddress = 7, kTypeProtocol = 12, kTypePort = 13;
constexpr uint32_t kTarget = kTypeAddress << 6 | kTypePort;
constexpr uint32_t kAnyKey = kTypeProtocol << 6 | kTypePort;
constexpr uint32_t kAddressKey = kTypeAddress << 12 | kAnyKey;

// Families and message types of an nftables message.
nlmsghdr* Start(NetlinkBatch& batch, uint16_t type, uint16_t flags, std::string description) {
  nlmsghdr* header = batch.Add(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags,
                               std::move(description));
  auto* family = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  family->nfgen_family = NFPROTO_IPV4;
  family->version = NFNETLINK_V0;
  return header;
}

void Bracket(NetlinkBatch& batch, uint16_t type, uint16_t flags) {
  batch.Add(type, flags, "nftables transaction");
  auto* family = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  family->nfgen_family = AF_UNSPEC;
  family->version = NFNETLINK_V0;
  family->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

// A rule under construction: expressions in the order in which they are evaluated.
class Rule {
 public:
  Rule(const NatNames& names, const char* chain) : rule_(nftnl_rule_alloc(), nftnl_rule_free) {
    nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_IPV4);
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, names.table.c_str());
    nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain);
    description_ = absl::StrCat("add rule to chain ", chain, " of nftables table ", names.table);
  }

  Rule& Interface(bool incoming, bool equal, const std::string& name) {
    char padded[IFNAMSIZ] = {};
    memcpy(padded, name.data(), std::min(name.size(), sizeof(padded) - 1));
    Meta(incoming ? NFT_META_IIFNAME : NFT_META_OIFNAME, NFT_REG_1);
    return Compare(equal ? NFT_CMP_EQ : NFT_CMP_NEQ, padded, sizeof(padded));
  }

  // `offset` in the IPv4 header: 12 source, 16 destination.
  Rule& Network(uint32_t offset, uint32_t network, uint32_t prefix_length) {
    Payload(NFT_PAYLOAD_NETWORK_HEADER, offset, 4, NFT_REG_1);
    uint32_t mask = htonl(~(0xffffffffu >> prefix_length));
    Mask(mask, 4);
    uint32_t value = htonl(network);
    return Compare(NFT_CMP_EQ, &value, sizeof(value));
  }

  Rule& Conntrack(uint32_t key, uint32_t any_of) {
    nftnl_expr* expr = New("ct");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    Mask(any_of, 4);
    uint32_t zero = 0;
    return Compare(NFT_CMP_NEQ, &zero, sizeof(zero));
  }

  Rule& DestinationIsLocal() {
    nftnl_expr* expr = New("fib");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    uint32_t local = RTN_LOCAL;
    return Compare(NFT_CMP_EQ, &local, sizeof(local));
  }

  Rule& Meta(uint32_t key, uint32_t reg) {
    nftnl_expr* expr = New("meta");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
    return *this;
  }

  Rule& Payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t reg) {
    nftnl_expr* expr = New("payload");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, length);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
    return *this;
  }

  // The key starts in register 1; the found address is left there, the port in the next 32 bits.
  Rule& DnatByMap(const char* map) {
    nftnl_expr* expr = New("lookup");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
    nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, map);
    expr = New("nat");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG32_01);
    return *this;
  }

  Rule& Masquerade() {
    New("masq");
    return *this;
  }

  Rule& Verdict(uint32_t verdict, const char* chain = nullptr) {
    nftnl_expr* expr = New("immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, verdict);
    if (chain != nullptr) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
    return *this;
  }

  void AddTo(NetlinkBatch& batch) {
    nlmsghdr* header = Start(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, description_);
    nftnl_rule_nlmsg_build_payload(header, rule_.get());
  }

 private:
  nftnl_expr* New(const char* name) {
    nftnl_expr* expr = nftnl_expr_alloc(name);
    nftnl_rule_add_expr(rule_.get(), expr);
    return expr;
  }

  Rule& Compare(uint32_t operation, const void* data, uint32_t length) {
    nftnl_expr* expr = New("cmp");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, operation);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, length);
    return *this;
  }

  void Mask(uint32_t mask, uint32_t length) {
    nftnl_expr* expr = New("bitwise");
    uint32_t zero = 0;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof(zero));
  }

  std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> rule_;
  std::string description_;
};

using Set = std::unique_ptr<nftnl_set, decltype(&nftnl_set_free)>;

Set NewSet(const NatNames& names, const char* name) {
  Set set(nftnl_set_alloc(), nftnl_set_free);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_IPV4);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, names.table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name);
  return set;
}

void AddMap(NetlinkBatch& batch, const NatNames& names, const char* name, uint32_t id,
            uint32_t key_type, uint32_t key_bytes) {
  Set set = NewSet(names, name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, id);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, key_bytes);
  nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, kTarget);
  nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, 8);
  nlmsghdr* header = Start(batch, NFT_MSG_NEWSET, NLM_F_CREATE,
                           absl::StrCat("add map ", name, " to nftables table ", names.table));
  nftnl_set_nlmsg_build_payload(header, set.get());
}

// `type` null: a chain to jump to.
void AddChain(NetlinkBatch& batch, const NatNames& names, const char* name, const char* type,
              uint32_t hook, int32_t priority) {
  std::unique_ptr<nftnl_chain, decltype(&nftnl_chain_free)> chain(nftnl_chain_alloc(),
                                                                  nftnl_chain_free);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_IPV4);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, names.table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  if (type != nullptr) {
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, type);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nlmsghdr* header = Start(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                           absl::StrCat("add chain ", name, " to nftables table ", names.table));
  nftnl_chain_nlmsg_build_payload(header, chain.get());
}

void AddPostroutingRules(NetlinkBatch& batch, const NatNames& names) {
  const Subnet& subnet = names.subnet;
  Rule(names, "postrouting")
      .Network(12, subnet.network, subnet.prefix_length)
      .Interface(false, false, names.bridge)
      .Masquerade()
      .AddTo(batch);
  Rule(names, "postrouting")
      .Network(12, subnet.network, subnet.prefix_length)
      .Interface(false, true, names.bridge)
      .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
      .Masquerade()
      .AddTo(batch);
  Rule(names, "postrouting")
      .Network(12, 0x7f000000, 8)
      .Interface(false, true, names.bridge)
      .Masquerade()
      .AddTo(batch);
}

void AddForwardRules(NetlinkBatch& batch, const NatNames& names) {
  // The state bits as nf_conntrack_common.h numbers them: 1 << (ctinfo + 1).
  constexpr uint32_t kEstablishedOrRelated = 1 << 1 | 1 << 2;
  Rule(names, "forward").Interface(true, true, names.bridge).Verdict(NF_ACCEPT).AddTo(batch);
  Rule(names, "forward")
      .Interface(false, true, names.bridge)
      .Conntrack(NFT_CT_STATE, kEstablishedOrRelated)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  Rule(names, "forward")
      .Interface(false, true, names.bridge)
      .Conntrack(NFT_CT_STATUS, IPS_DST_NAT)
      .Verdict(NF_ACCEPT)
      .AddTo(batch);
  Rule(names, "forward").Interface(false, true, names.bridge).Verdict(NF_DROP).AddTo(batch);
}

// Keys and values are 32-bit slots, each value left-aligned in network byte order.
void PutSlot16(char* slot, uint16_t value) {
  value = htons(value);
  memcpy(slot, &value, sizeof(value));
}
void PutSlot32(char* slot, uint32_t value) {
  value = htonl(value);
  memcpy(slot, &value, sizeof(value));
}

void ChangeElements(NetlinkBatch& batch, const NatNames& names, const char* map,
                    const std::vector<const NatEntry*>& entries, bool add) {
  bool by_address = strcmp(map, kAddressMap) == 0;
  for (size_t start = 0; start < entries.size(); start += kElementsPerMessage) {
    Set set = NewSet(names, map);
    for (size_t i = start; i < std::min(entries.size(), start + kElementsPerMessage); ++i) {
      const NatEntry& entry = *entries[i];
      char key[12] = {};
      char* slot = key;
      if (by_address) {
        PutSlot32(slot, entry.host_address);
        slot += 4;
      }
      slot[0] = static_cast<char>(entry.protocol);
      PutSlot16(slot + 4, entry.host_port);
      nftnl_set_elem* element = nftnl_set_elem_alloc();
      nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, by_address ? 12 : 8);
      char value[8] = {};
      PutSlot32(value, entry.address);
      PutSlot16(value + 4, entry.port);
      nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, value, sizeof(value));
      nftnl_set_elem_add(set.get(), element);
    }
    nlmsghdr* header =
        Start(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0,
              absl::StrCat(add ? "publish" : "unpublish", " ports in nftables map ", map));
    nftnl_set_elems_nlmsg_build_payload(header, set.get());
  }
}

void ChangeEntries(NetlinkBatch& batch, const NatNames& names, const std::vector<NatEntry>& entries,
                   bool add) {
  std::vector<const NatEntry*> any, by_address;
  for (const NatEntry& entry : entries) {
    (entry.host_address == 0 ? any : by_address).push_back(&entry);
  }
  ChangeElements(batch, names, kAnyMap, any, add);
  ChangeElements(batch, names, kAddressMap, by_address, add);
}

nlmsghdr* StartTable(NetlinkBatch& batch, const NatNames& names, uint16_t type, uint16_t flags,
                     const char* verb) {
  nlmsghdr* header = Start(batch, type, flags, absl::StrCat(verb, " nftables table ", names.table));
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, names.table.c_str());
  return header;
}

}  // namespace

void BeginTransaction(NetlinkBatch& batch) { Bracket(batch, NFNL_MSG_BATCH_BEGIN, 0); }

void EndTransaction(NetlinkBatch& batch) {
  batch.AcknowledgeCurrent();
  Bracket(batch, NFNL_MSG_BATCH_END, 0);
}

void AddTable(NetlinkBatch& batch, const NatNames& names) {
  StartTable(batch, names, NFT_MSG_NEWTABLE, NLM_F_CREATE, "make");
}

void DeleteTable(NetlinkBatch& batch, const NatNames& names) {
  StartTable(batch, names, NFT_MSG_DELTABLE, 0, "delete");
}

void AddMapsAndChains(NetlinkBatch& batch, const NatNames& names) {
  AddMap(batch, names, kAnyMap, 1, kAnyKey, 8);
  AddMap(batch, names, kAddressMap, 2, kAddressKey, 12);
  AddChain(batch, names, "publish", nullptr, 0, 0);
  AddChain(batch, names, "guard", "filter", NF_INET_PRE_ROUTING, -300);
  AddChain(batch, names, "prerouting", "nat", NF_INET_PRE_ROUTING, -100);
  AddChain(batch, names, "output", "nat", NF_INET_LOCAL_OUT, -100);
  AddChain(batch, names, "postrouting", "nat", NF_INET_POST_ROUTING, 100);
  AddChain(batch, names, "forward", "filter", NF_INET_FORWARD, 0);
  Rule(names, "publish")
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_REG32_00)
      .Meta(NFT_META_L4PROTO, NFT_REG32_01)
      .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_02)
      .DnatByMap(kAddressMap)
      .AddTo(batch);
  Rule(names, "publish")
      .Meta(NFT_META_L4PROTO, NFT_REG32_00)
      .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01)
      .DnatByMap(kAnyMap)
      .AddTo(batch);
  Rule(names, "guard")
      .Interface(true, true, names.bridge)
      .Network(16, 0x7f000000, 8)
      .Verdict(NF_DROP)
      .AddTo(batch);
  for (const char* chain : {"prerouting", "output"}) {
    Rule(names, chain)
        .DestinationIsLocal()
        .Verdict(static_cast<uint32_t>(NFT_JUMP), "publish")
        .AddTo(batch);
  }
  AddPostroutingRules(batch, names);
  AddForwardRules(batch, names);
}

void AddEntries(NetlinkBatch& batch, const NatNames& names, const std::vector<NatEntry>& entries) {
  ChangeEntries(batch, names, entries, /*add=*/true);
}

void DeleteEntries(NetlinkBatch& batch, const NatNames& names,
                   const std::vector<NatEntry>& entries) {
  ChangeEntries(batch, names, entries, /*add=*/false);
}

}  // namespace slipway::agent
