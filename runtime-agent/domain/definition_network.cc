#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/definition_check.h"
#include "runtime-agent/domain/network_files.h"

namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

absl::StatusOr<NamespaceMode> ParseNetworkMode(absl::string_view text) {
  if (text.empty() || text == "default" || text == "bridge") {
    return NamespaceMode{.kind = Kind::kBridge};
  }
  if (text == "none") return NamespaceMode{.kind = Kind::kNone};
  if (text == "host") return NamespaceMode{.kind = Kind::kHost};
  absl::string_view id = text;
  if (absl::ConsumePrefix(&id, "container:") && !id.empty()) {
    return NamespaceMode{.kind = Kind::kContainer, .container_id = std::string(id)};
  }
  // A network by its name: the start says which they are.
  return NamespaceMode{.kind = Kind::kBridge, .container_id = std::string(text)};
}

absl::StatusOr<PortProtocol> ParseProtocol(absl::string_view text) {
  if (text.empty() || text == "tcp") return PortProtocol::kTcp;
  if (text == "udp") return PortProtocol::kUdp;
  if (text == "sctp") return PortProtocol::kSctp;
  return absl::InvalidArgumentError(absl::StrCat("invalid proto: ", text));
}

absl::StatusOr<PublishedPort> ParsePort(const PortSpec& spec) {
  if (spec.container_port == 0 || spec.container_port > 65535 || spec.host_port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid port: ", spec.host_port, ":", spec.container_port));
  }
  PublishedPort port;
  port.container_port = static_cast<uint16_t>(spec.container_port);
  ASSIGN_OR_RETURN(port.protocol, ParseProtocol(spec.protocol));
  port.host_address = spec.host_address;
  port.host_port = static_cast<uint16_t>(spec.host_port);
  if (spec.host_port_last != 0) {
    if (spec.host_port_last < spec.host_port || spec.host_port_last > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid range of ports: ", spec.host_port, "-", spec.host_port_last));
    }
    port.host_port_last = static_cast<uint16_t>(spec.host_port_last);
  }
  return port;
}

// --publish-all: exposed ports that are not published yet get any free host port.
absl::Status PublishExposed(const ContainerSpec& spec, std::vector<PublishedPort>* ports) {
  for (const std::string& exposed : spec.exposed_ports) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(exposed, absl::MaxSplits('/', 1));
    const std::vector<std::string> range = absl::StrSplit(parts.first, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    uint32_t last = 0;
    if (!absl::SimpleAtoi(range[0], &first) || !absl::SimpleAtoi(range.back(), &last) ||
        first > last || last > 65535) {
      return absl::InvalidArgumentError(absl::StrCat("invalid port: ", exposed));
    }
    for (uint32_t number = first; number <= last; ++number) {
      ASSIGN_OR_RETURN(const PublishedPort port,
                       ParsePort({.container_port = number, .protocol = parts.second}));
      const bool published = std::any_of(ports->begin(), ports->end(), [&](const auto& other) {
        return other.container_port == port.container_port && other.protocol == port.protocol;
      });
      if (!published) ports->push_back(port);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DefineNetwork(const PrepareCommand& command, Definition* definition) {
  const NetworkSpec& spec = command.spec.network;
  ASSIGN_OR_RETURN(definition->network, ParseNetworkMode(spec.mode));
  for (const PortSpec& port : spec.ports) {
    ASSIGN_OR_RETURN(PublishedPort parsed, ParsePort(port));
    if (std::find(definition->ports.begin(), definition->ports.end(), parsed) ==
        definition->ports.end()) {
      definition->ports.push_back(std::move(parsed));
    }
  }
  if (spec.publish_all_ports) RETURN_IF_ERROR(PublishExposed(command.spec, &definition->ports));
  const Kind kind = definition->network.kind;
  if (kind == Kind::kContainer && !definition->ports.empty()) {
    return absl::InvalidArgumentError(
        "conflicting options: port publishing and the container type network mode");
  }
  if (kind != Kind::kBridge) definition->ports.clear();
  if (kind == Kind::kContainer && !spec.mac_address.empty()) {
    return absl::InvalidArgumentError(
        "conflicting options: mac-address and the container type network mode");
  }
  definition->mac_address = spec.mac_address;
  definition->dns_servers = spec.dns_servers;
  definition->dns_search = spec.dns_search;
  definition->dns_options = spec.dns_options;
  for (const std::string& entry : spec.extra_hosts) RETURN_IF_ERROR(CheckExtraHost(entry));
  definition->extra_hosts = spec.extra_hosts;
  return absl::OkStatus();
}

}  // namespace slipway::agent
