#include "runtime-agent/network/bridge_network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/host_networks.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {
namespace {

absl::Status ValidatePrefix(const std::string& prefix) {
  bool valid = !prefix.empty() && prefix.size() <= 13 &&
               std::all_of(prefix.begin(), prefix.end(),
                           [](unsigned char c) { return isalnum(c) || c == '-' || c == '_'; });
  return valid ? absl::OkStatus()
               : absl::InvalidArgumentError(
                     absl::StrCat("prefix '", prefix, "' must be 1 to 13 letters or digits"));
}

absl::StatusOr<CompiledNetwork> DefaultNetwork(const BridgeOptions& options) {
  RETURN_IF_ERROR(ValidatePrefix(options.prefix));
  NetworkDefinition definition{.id = kDefaultNetworkId, .name = "bridge", .driver = "bridge"};
  definition.subnets = {{.subnet = options.subnet}};
  ASSIGN_OR_RETURN(CompiledNetwork compiled, CompileNetwork(definition, options.prefix));
  compiled.link = absl::StrCat(options.prefix, "0");
  compiled.mtu = options.mtu;
  return compiled;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkDriver>> NewBridgeNetwork(const BridgeOptions& options) {
  ASSIGN_OR_RETURN(CompiledNetwork compiled, DefaultNetwork(options));
  auto networks = std::make_unique<HostNetworks>(options);
  RETURN_IF_ERROR(networks->Start(std::move(compiled)));
  return networks;
}

absl::Status RemoveBridgeNetwork(const BridgeOptions& options) {
  ASSIGN_OR_RETURN(const CompiledNetwork compiled, DefaultNetwork(options));
  absl::Status first = RemoveFirewall(options.prefix);
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  std::vector<std::string> links = {compiled.link};
  ASSIGN_OR_RETURN(const auto aliased, ListAliased(socket, AliasOf(options.prefix, "")));
  for (const auto& [name, alias] : aliased) links.push_back(name);
  for (const std::string& link : links) {
    const absl::StatusOr<int> index = FindLink(socket, link);
    if (!index.ok()) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> ports, ListBridgePorts(socket, *index));
    NetlinkBatch batch;
    for (const std::string& port : ports) {
      if (absl::StartsWith(port, options.prefix.substr(0, 5))) DeleteLink(batch, port);
    }
    DeleteLink(batch, link);
    // A cable of theirs goes with its other end.
    const absl::Status deleted = socket.Run(batch);
    if (!absl::StrContains(deleted.message(), "ENODEV")) first.Update(deleted);
  }
  return first;
}

}  // namespace slipway::agent
