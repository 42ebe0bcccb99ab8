#ifndef RUNTIME_AGENT_NETWORK_NETWORK_DEFINITION_H_
#define RUNTIME_AGENT_NETWORK_NETWORK_DEFINITION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/ipv6.h"

namespace slipway::agent {

// The default bridge, as the container service names it.
inline constexpr char kDefaultNetworkId[] =
    "b71d9e00000000000000000000000000000000000000000000000000000b71d9";

struct SubnetDefinition {
  std::string subnet;
  std::string gateway;
  std::string ip_range;               // empty: all of it
  std::vector<std::string> reserved;  // never given to a container

  friend bool operator==(const SubnetDefinition&, const SubnetDefinition&) = default;
};

// A network as the container service asks for it, and as it is saved.
struct NetworkDefinition {
  std::string id;
  std::string name;
  std::string driver;  // "bridge", "macvlan", "ipvlan"
  bool internal = false;
  bool enable_ipv6 = false;
  std::map<std::string, std::string> options;  // docs/networks.md
  std::vector<SubnetDefinition> subnets;       // one IPv4, at most one IPv6

  friend bool operator==(const NetworkDefinition&, const NetworkDefinition&) = default;
};

enum class NetworkKind { kBridge, kMacvlan, kIpvlan };

// The same, understood.
struct CompiledNetwork {
  NetworkDefinition definition;
  NetworkKind kind = NetworkKind::kBridge;
  Subnet subnet;
  uint32_t gateway = 0;
  std::optional<Subnet> range;
  std::vector<uint32_t> reserved;
  std::optional<Subnet6> subnet6;
  Address6 gateway6 = {};
  std::vector<Address6> reserved6;

  std::string link;  // the bridge's name, or that of a parent that is made for the network
  uint32_t mtu = 1500;
  bool icc = true;         // containers of the network reach each other
  bool masquerade = true;  // to the outside by the host's address
  bool guarded = true;     // nobody takes another's address
  std::string binding;     // of published ports that name no address
  std::string parent;      // of macvlan and ipvlan: the host's interface; empty: none
  uint32_t mode = 0;       // MACVLAN_MODE_* or IPVLAN_MODE_*
};

// `prefix`: of names of ours on this host. InvalidArgument names what cannot be understood.
absl::StatusOr<CompiledNetwork> CompileNetwork(const NetworkDefinition& definition,
                                               const std::string& prefix);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NETWORK_DEFINITION_H_
