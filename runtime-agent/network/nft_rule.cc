#include "runtime-agent/network/nft_rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace slipway::agent {

nlmsghdr* StartNft(NetlinkBatch& batch, uint8_t family, uint16_t type, uint16_t flags,
                   std::string description) {
  nlmsghdr* header = batch.Add(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags,
                               std::move(description));
  auto* extra = static_cast<nfgenmsg*>(batch.AddExtra(sizeof(nfgenmsg)));
  extra->nfgen_family = family;
  extra->version = NFNETLINK_V0;
  return header;
}

NftRule::NftRule(uint8_t family, const std::string& table, const char* chain)
    : family_(family), rule_(nftnl_rule_alloc(), nftnl_rule_free) {
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain);
  description_ = absl::StrCat("add rule to chain ", chain, " of nftables table ", table);
}

nftnl_expr* NftRule::New(const char* name) {
  nftnl_expr* expr = nftnl_expr_alloc(name);
  nftnl_rule_add_expr(rule_.get(), expr);
  return expr;
}

NftRule& NftRule::Meta(uint32_t key, uint32_t reg) {
  nftnl_expr* expr = New("meta");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
  return *this;
}

NftRule& NftRule::Payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t reg) {
  nftnl_expr* expr = New("payload");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, length);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
  return *this;
}

NftRule& NftRule::Equals(const void* data, uint32_t length, uint32_t reg, bool equal) {
  nftnl_expr* expr = New("cmp");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, reg);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
  nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, length);
  return *this;
}

NftRule& NftRule::In(const char* set, bool inside) {
  nftnl_expr* expr = New("lookup");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, set);
  if (!inside) nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  return *this;
}

NftRule& NftRule::Mask(const void* mask, uint32_t length) {
  nftnl_expr* expr = New("bitwise");
  const uint8_t zero[16] = {};
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero, length);
  return *this;
}

NftRule& NftRule::Interface(bool incoming, const char* set, bool inside) {
  return Meta(incoming ? NFT_META_IIFNAME : NFT_META_OIFNAME, NFT_REG_1).In(set, inside);
}

NftRule& NftRule::InterfacePair(const char* set) {
  return Meta(NFT_META_IIFNAME, NFT_REG_1).Meta(NFT_META_OIFNAME, NFT_REG_2).In(set);
}

NftRule& NftRule::Conntrack(uint32_t key, uint32_t any_of) {
  nftnl_expr* expr = New("ct");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
  return Mask(&any_of, sizeof(any_of)).Equals(uint32_t{0}, /*equal=*/false);
}

NftRule& NftRule::DestinationIsLocal() {
  nftnl_expr* expr = New("fib");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
  return Equals(uint32_t{RTN_LOCAL});
}

NftRule& NftRule::L3Protocol(uint8_t family) {
  return Meta(NFT_META_NFPROTO, NFT_REG_1).Equals(family);
}

NftRule& NftRule::DnatByMap(const char* map, uint8_t family) {
  nftnl_expr* expr = New("lookup");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
  nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, map);
  expr = New("nat");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, family);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN,
                     family == NFPROTO_IPV4 ? NFT_REG32_01 : NFT_REG32_04);
  return *this;
}

NftRule& NftRule::Dnat(uint32_t address, uint16_t port) {
  const uint32_t network_address = htonl(address);
  const uint16_t network_port = htons(port);
  nftnl_expr* expr = New("immediate");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG32_00);
  nftnl_expr_set(expr, NFTNL_EXPR_IMM_DATA, &network_address, sizeof(network_address));
  expr = New("immediate");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG32_01);
  nftnl_expr_set(expr, NFTNL_EXPR_IMM_DATA, &network_port, sizeof(network_port));
  expr = New("nat");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG32_00);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN, NFT_REG32_01);
  return *this;
}

NftRule& NftRule::Masquerade() {
  New("masq");
  return *this;
}

NftRule& NftRule::Verdict(uint32_t verdict, const char* chain) {
  nftnl_expr* expr = New("immediate");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, verdict);
  if (chain != nullptr) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
  return *this;
}

void NftRule::AddTo(NetlinkBatch& batch) {
  nlmsghdr* header =
      StartNft(batch, family_, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, description_);
  nftnl_rule_nlmsg_build_payload(header, rule_.get());
}

}  // namespace slipway::agent
