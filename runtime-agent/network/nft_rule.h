#ifndef RUNTIME_AGENT_NETWORK_NFT_RULE_H_
#define RUNTIME_AGENT_NETWORK_NFT_RULE_H_

#include <linux/netfilter/nf_tables.h>

#include <cstdio>

extern "C" {
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
}

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {

// A message of nf_tables for `family` (NFPROTO_*), begun in the batch.
nlmsghdr* StartNft(NetlinkBatch& batch, uint8_t family, uint16_t type, uint16_t flags,
                   std::string description);

// A rule under construction: expressions in the order in which they are evaluated, values in the
// 32-bit registers NFT_REG32_00 to NFT_REG32_15, of which NFT_REG_1 is the first. Not thread-safe.
class NftRule {
 public:
  NftRule(uint8_t family, const std::string& table, const char* chain);

  // Loads.
  NftRule& Meta(uint32_t key, uint32_t reg);
  NftRule& Payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t reg);

  // Conditions.
  NftRule& Equals(const void* data, uint32_t length, uint32_t reg = NFT_REG_1, bool equal = true);
  template <typename T>
  NftRule& Equals(const T& value, bool equal = true) {
    return Equals(&value, sizeof(value), NFT_REG_1, equal);
  }
  // What is in the registers from the first on is, or is not, in a set.
  NftRule& In(const char* set, bool inside = true);
  // Leaves only the bits of `mask`.
  NftRule& Mask(const void* mask, uint32_t length);
  NftRule& Interface(bool incoming, const char* set, bool inside = true);
  NftRule& InterfacePair(const char* set);
  NftRule& Conntrack(uint32_t key, uint32_t any_of);
  NftRule& DestinationIsLocal();
  NftRule& L3Protocol(uint8_t family);  // of an inet table

  // What is done.
  // The key starts in the first register; the found address is left there, the port in the register
  // behind the address.
  NftRule& DnatByMap(const char* map, uint8_t family);
  NftRule& Dnat(uint32_t address, uint16_t port);  // IPv4, host byte order
  NftRule& Masquerade();
  NftRule& Verdict(uint32_t verdict, const char* chain = nullptr);

  void AddTo(NetlinkBatch& batch);

 private:
  nftnl_expr* New(const char* name);

  const uint8_t family_;
  std::unique_ptr<nftnl_rule, decltype(&nftnl_rule_free)> rule_;
  std::string description_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NFT_RULE_H_
