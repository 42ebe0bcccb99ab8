#ifndef SERVICES_CONTAINER_MODEL_NETWORK_H_
#define SERVICES_CONTAINER_MODEL_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/container/model/spec.h"

// A network, as slipway.container.v1.VirtualNetwork has it (its .proto is the reference). Immutable
// once published.
namespace slipway::container {

struct Subnet {
  std::string subnet;
  std::string gateway;
  std::string ip_range;
  StringMap auxiliary_addresses;
  bool requested = false;

  bool operator==(const Subnet&) const = default;
};

struct VirtualNetwork {
  std::string id;
  std::string name;
  std::string driver;
  int64_t created_unix_ns = 0;
  bool internal = false;
  bool attachable = false;
  bool enable_ipv6 = false;
  StringMap options;
  StringMap labels;
  std::string ipam_driver;
  StringMap ipam_options;
  std::vector<Subnet> subnets;
  bool builtin = false;  // never stored

  bool operator==(const VirtualNetwork&) const = default;
};

using NetworkPtr = std::shared_ptr<const VirtualNetwork>;

// What each host has, under ids that never change.
inline constexpr char kBridgeNetworkId[] =
    "b71d9e00000000000000000000000000000000000000000000000000000b71d9";
inline constexpr char kHostNetworkId[] =
    "4057000000000000000000000000000000000000000000000000000000004057";
inline constexpr char kNoneNetworkId[] =
    "0e00000000000000000000000000000000000000000000000000000000000e00";

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_MODEL_NETWORK_H_
