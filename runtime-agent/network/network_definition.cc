#include "runtime-agent/network/network_definition.h"

#include <linux/if_link.h>
#include <net/if.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr size_t kNamePrefixBytes = 5;
constexpr size_t kIdBytes = 9;

absl::Status Bad(absl::string_view what, absl::string_view value) {
  return absl::InvalidArgumentError(absl::StrCat("invalid ", what, ": ", value));
}

class Options {
 public:
  explicit Options(const std::map<std::string, std::string>& options) : options_(options) {}

  std::string Text(const std::string& name) const {
    const auto found = options_.find(name);
    return found == options_.end() ? "" : found->second;
  }
  absl::StatusOr<bool> Bool(const std::string& name, bool fallback) const {
    const std::string text = Text(name);
    if (text.empty()) return fallback;
    bool value = false;
    if (!absl::SimpleAtob(text, &value)) return Bad(name, text);
    return value;
  }

 private:
  const std::map<std::string, std::string>& options_;
};

absl::Status CompileSubnet4(const SubnetDefinition& from, CompiledNetwork& to) {
  ASSIGN_OR_RETURN(to.subnet, Subnet::Parse(from.subnet));
  to.gateway = to.subnet.gateway();
  if (!from.gateway.empty()) {
    ASSIGN_OR_RETURN(to.gateway, ParseIpv4(from.gateway));
  }
  if (!to.subnet.Contains(to.gateway)) return Bad("gateway", from.gateway);
  if (!from.ip_range.empty()) {
    const size_t slash = from.ip_range.find('/');
    Subnet range;
    ASSIGN_OR_RETURN(range.network, ParseIpv4(from.ip_range.substr(0, slash)));
    if (slash == std::string::npos ||
        !absl::SimpleAtoi(from.ip_range.substr(slash + 1), &range.prefix_length) ||
        range.prefix_length > 32 || range.prefix_length < to.subnet.prefix_length ||
        !to.subnet.Contains(range.network)) {
      return Bad("ip-range", from.ip_range);
    }
    to.range = range;
  }
  for (const std::string& text : from.reserved) {
    ASSIGN_OR_RETURN(const uint32_t address, ParseIpv4(text));
    to.reserved.push_back(address);
  }
  return absl::OkStatus();
}

absl::Status CompileSubnet6(const SubnetDefinition& from, CompiledNetwork& to) {
  ASSIGN_OR_RETURN(to.subnet6, Subnet6::Parse(from.subnet));
  to.gateway6 = to.subnet6->At(1);
  if (!from.gateway.empty()) {
    ASSIGN_OR_RETURN(to.gateway6, ParseIpv6(from.gateway));
  }
  if (!to.subnet6->Contains(to.gateway6)) return Bad("gateway", from.gateway);
  for (const std::string& text : from.reserved) {
    ASSIGN_OR_RETURN(const Address6 address, ParseIpv6(text));
    to.reserved6.push_back(address);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> MacvlanMode(const std::string& text) {
  if (text.empty() || text == "bridge") return MACVLAN_MODE_BRIDGE;
  if (text == "private") return MACVLAN_MODE_PRIVATE;
  if (text == "vepa") return MACVLAN_MODE_VEPA;
  if (text == "passthru") return MACVLAN_MODE_PASSTHRU;
  return Bad("macvlan_mode", text);
}

absl::StatusOr<uint32_t> IpvlanMode(const std::string& text) {
  if (text.empty() || text == "l2") return IPVLAN_MODE_L2;
  if (text == "l3") return IPVLAN_MODE_L3;
  if (text == "l3s") return IPVLAN_MODE_L3S;
  return Bad("ipvlan_mode", text);
}

absl::Status CheckLinkName(absl::string_view what, const std::string& name) {
  const bool clean = !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return absl::ascii_isgraph(c) && c != '/' && c != ':';
                     });
  return clean ? absl::OkStatus() : Bad(what, name);
}

absl::Status CompileOptions(const std::string& prefix, CompiledNetwork& to) {
  const NetworkDefinition& definition = to.definition;
  const Options options(definition.options);
  to.link =
      absl::StrCat(prefix.substr(0, kNamePrefixBytes), "-", definition.id.substr(0, kIdBytes));
  if (const std::string mtu = options.Text("com.docker.network.driver.mtu"); !mtu.empty()) {
    if (!absl::SimpleAtoi(mtu, &to.mtu) || to.mtu < 68 || to.mtu > 65535) return Bad("mtu", mtu);
  }
  if (to.kind == NetworkKind::kBridge) {
    if (const std::string name = options.Text("com.docker.network.bridge.name"); !name.empty()) {
      to.link = name;
    }
    ASSIGN_OR_RETURN(to.icc, options.Bool("com.docker.network.bridge.enable_icc", true));
    ASSIGN_OR_RETURN(to.masquerade,
                     options.Bool("com.docker.network.bridge.enable_ip_masquerade", true));
    ASSIGN_OR_RETURN(const bool spoofing, options.Bool("slipway.allow_spoofing", false));
    to.guarded = !spoofing;
    to.binding = options.Text("com.docker.network.bridge.host_binding_ipv4");
    if (to.binding == "0.0.0.0") to.binding.clear();
    if (!to.binding.empty()) RETURN_IF_ERROR(ParseIpv4(to.binding).status());
    return CheckLinkName("bridge name", to.link);
  }
  to.parent = options.Text("parent");
  if (!to.parent.empty()) RETURN_IF_ERROR(CheckLinkName("parent", to.parent));
  if (to.kind == NetworkKind::kMacvlan) {
    ASSIGN_OR_RETURN(to.mode, MacvlanMode(options.Text("macvlan_mode")));
  } else {
    ASSIGN_OR_RETURN(to.mode, IpvlanMode(options.Text("ipvlan_mode")));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CompiledNetwork> CompileNetwork(const NetworkDefinition& definition,
                                               const std::string& prefix) {
  CompiledNetwork to{.definition = definition};
  if (definition.id.empty()) return Bad("network", "it has no id");
  if (definition.driver == "macvlan") {
    to.kind = NetworkKind::kMacvlan;
  } else if (definition.driver == "ipvlan") {
    to.kind = NetworkKind::kIpvlan;
  } else if (definition.driver != "bridge") {
    return Bad("driver", definition.driver);
  }
  bool has_subnet = false;
  for (const SubnetDefinition& subnet : definition.subnets) {
    if (absl::StrContains(subnet.subnet, ':')) {
      RETURN_IF_ERROR(CompileSubnet6(subnet, to));
    } else {
      RETURN_IF_ERROR(CompileSubnet4(subnet, to));
      has_subnet = true;
    }
  }
  if (!has_subnet) return Bad("network", "it has no IPv4 subnet");
  RETURN_IF_ERROR(CompileOptions(prefix, to));
  return to;
}

}  // namespace slipway::agent
