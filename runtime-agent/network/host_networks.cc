#include "runtime-agent/network/host_networks.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/host_limits.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {
namespace {

constexpr int kReserveTries = 32;

std::string IdOf(const std::string& network_id) {
  return network_id.empty() ? kDefaultNetworkId : network_id;
}

bool IsIpv6(const PublishedPort& port) { return absl::StrContains(port.host_address, ':'); }

// What PortRelay carries.
bool IsRelayed(const PublishedPort& port) {
  return IsIpv6(port) && port.protocol != PortProtocol::kSctp;
}

// Ports as they are asked for, one for each family that has them: those of one group are to have
// the same number. `has6`: the container has; `host_has6`: the host, which is enough for what is
// relayed.
std::vector<std::vector<PublishedPort>> Expand(const std::vector<PublishedPort>& ports,
                                               const CompiledNetwork& network, bool has6,
                                               bool host_has6) {
  std::vector<std::vector<PublishedPort>> expanded;
  for (PublishedPort port : ports) {
    const bool any = port.host_address.empty();
    if (any) port.host_address = network.binding;
    const bool both = has6 || (host_has6 && port.protocol != PortProtocol::kSctp);
    if (port.host_address == "0.0.0.0" || (port.host_address == "::" && !both)) {
      port.host_address.clear();
    }
    const bool known = std::any_of(expanded.begin(), expanded.end(),
                                   [&](const auto& group) { return group.front() == port; });
    if (known) continue;
    expanded.push_back({port});
    if (!any || !network.binding.empty() || !both) continue;
    port.host_address = "::";
    expanded.back().push_back(port);
  }
  return expanded;
}

}  // namespace

void AppendPort(const PublishedPort& port, const Wire& wire,
                std::vector<FirewallElement>& elements) {
  const uint8_t protocol = PortProtocolNumber(port.protocol);
  if (IsIpv6(port)) {
    const absl::StatusOr<Address6> host = ParseIpv6(port.host_address);
    if (!host.ok() || !wire.address6.has_value()) return;
    AppendElements(NatEntry6{protocol, *host, port.host_port, *wire.address6, port.container_port},
                   elements);
    return;
  }
  const absl::StatusOr<uint32_t> host = ParseIpv4(port.host_address);
  AppendElements(
      NatEntry{protocol, host.ok() ? *host : 0, port.host_port, wire.address, port.container_port},
      elements);
}

absl::Status HostNetworks::Start(CompiledNetwork default_network) {
  ASSIGN_OR_RETURN(visitor_, NamespaceVisitor::Start());
  ASSIGN_OR_RETURN(pool_visitor_, NamespaceVisitor::Start(/*background=*/true));
  default_ = std::make_shared<AttachedNetwork>(std::move(default_network), options_.prefix,
                                               options_.ports_per_bridge, visitor_.get());
  RETURN_IF_ERROR(default_->Make());
  ASSIGN_OR_RETURN(firewall_, Firewall::Open(options_.prefix, options_.heal_rules));
  ASSIGN_OR_RETURN(connections_, ConnectionTracking::Open(options_.filtered_forgetting));
  absl::MutexLock lock(&mutex_);
  networks_[default_->id()] = default_;
  return absl::OkStatus();
}

absl::StatusOr<NetworkRef> HostNetworks::Find(const std::string& network_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = networks_.find(IdOf(network_id));
  if (found != networks_.end()) return found->second;
  return absl::NotFoundError(absl::StrCat("network ", network_id, " not found"));
}

std::vector<std::string> HostNetworks::ListNetworks() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, network] : networks_) {
    if (network != default_) ids.push_back(id);
  }
  return ids;
}

absl::StatusOr<NetworkDefinition> HostNetworks::FindNetwork(const std::string& network_id) const {
  ASSIGN_OR_RETURN(const NetworkRef network, Find(network_id));
  return network->compiled().definition;
}

absl::Status HostNetworks::ClaimLink(const CompiledNetwork& compiled) {
  const NetworkDefinition& definition = compiled.definition;
  const auto option = definition.options.find("com.docker.network.bridge.name");
  const bool named = compiled.kind == NetworkKind::kBridge && option != definition.options.end() &&
                     !option->second.empty();
  if (named && IsNameOfOurs(options_.prefix, compiled.link)) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot create network ", definition.id, " (", compiled.link,
                     "): this host's networks name their interfaces so"));
  }
  absl::MutexLock lock(&mutex_);
  std::string other;
  for (const auto& [id, network] : networks_) {
    if (network->compiled().link == compiled.link && id != definition.id) other = id;
  }
  const auto [claim, inserted] = claimed_links_.try_emplace(compiled.link, definition.id);
  if (!inserted && claim->second != definition.id) other = claim->second;
  if (other.empty()) return absl::OkStatus();
  if (inserted) claimed_links_.erase(claim);
  return absl::PermissionDeniedError(absl::StrCat(
      "cannot create network ", definition.id, " (", compiled.link, "): conflicts with network ",
      other, " (", compiled.link, "): networks have same bridge name"));
}

absl::Status HostNetworks::PutNetwork(const NetworkDefinition& definition, bool refuse_overlap) {
  ASSIGN_OR_RETURN(CompiledNetwork compiled, CompileNetwork(definition, options_.prefix));
  const auto network = std::make_shared<AttachedNetwork>(std::move(compiled), options_.prefix,
                                                         options_.ports_per_bridge, visitor_.get());
  {
    absl::MutexLock lock(&mutex_);
    const auto found = networks_.find(definition.id);
    if (found != networks_.end()) {
      if (found->second->compiled().definition == definition) return absl::OkStatus();
      return absl::AlreadyExistsError(
          absl::StrCat("network ", definition.id, " is there, with other settings"));
    }
  }
  if (refuse_overlap) {
    const Subnet& subnet = network->compiled().subnet;
    ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
    ASSIGN_OR_RETURN(const bool routed, HasRouteInto(socket, subnet.network, subnet.prefix_length));
    if (routed) {
      return absl::AlreadyExistsError(absl::StrCat(
          "the host has a route into ", FormatIpv4(subnet.network), "/", subnet.prefix_length));
    }
  }
  RETURN_IF_ERROR(ClaimLink(network->compiled()));
  const absl::Cleanup unclaim = [&] {
    absl::MutexLock lock(&mutex_);
    claimed_links_.erase(network->compiled().link);
  };
  std::vector<FirewallElement> elements;
  if (network->is_bridge()) AppendElements(network->firewall(), elements);
  absl::Status made = network->Make();
  if (made.ok()) made = firewall_->Add(elements);
  if (!made.ok()) {
    network->Remove().IgnoreError();
    return made;
  }
  absl::MutexLock lock(&mutex_);
  networks_[definition.id] = network;
  return absl::OkStatus();
}

absl::Status HostNetworks::RemoveNetwork(const std::string& network_id) {
  if (network_id == kDefaultNetworkId) {
    return absl::FailedPreconditionError("the default bridge stays");
  }
  NetworkRef network;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = networks_.find(network_id);
    if (found == networks_.end()) return absl::OkStatus();
    for (const auto& [id, endpoints] : records_) {
      if (!endpoints.contains(network_id)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("network ", network_id, " has active endpoints"));
    }
    network = found->second;
    networks_.erase(found);
  }
  ReapNow(network, [](const Wire&) { return true; });
  std::vector<FirewallElement> elements;
  if (network->is_bridge()) AppendElements(network->firewall(), elements);
  // Not what another network has too: an earlier version let two name the same bridge.
  std::vector<FirewallElement> others;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, other] : networks_) {
      if (other->is_bridge()) AppendElements(other->firewall(), others);
    }
  }
  std::erase_if(elements, [&](const FirewallElement& element) {
    return std::any_of(others.begin(), others.end(), [&](const FirewallElement& other) {
      return other.set == element.set && other.key == element.key;
    });
  });
  const absl::Status unruled = firewall_->Remove(elements);
  const absl::Status removed = network->Remove();
  return removed.ok() ? unruled : removed;
}

absl::StatusOr<Wire> HostNetworks::MakeWire(const NetworkRef& network,
                                            const EndpointRequest& request, int netns_fd) {
  bool many = false;
  {
    absl::MutexLock lock(&mutex_);
    many = records_.size() > kFewEndpoints && !std::exchange(limits_raised_, true);
  }
  if (many) RaiseHostLimits();
  std::optional<uint32_t> address = network->LastAddressOf(request.id);
  if (const auto asked = ParseIpv4(request.address); asked.ok()) address = *asked;
  if (address.has_value() || !request.address6.empty()) {
    // The address of a container that has just ended, its own maybe.
    const auto address6 = ParseIpv6(request.address6);
    ReapNow(network, [&](const Wire& wire) {
      return wire.address == address ||
             (address6.ok() && wire.address6.has_value() && *wire.address6 == *address6);
    });
  }
  ASSIGN_OR_RETURN(Wire wire, network->MakeWire(request, netns_fd));
  const absl::Status guarded = firewall_->Add(network->GuardsOf(wire));
  if (guarded.ok()) return wire;
  absl::MutexLock lock(&mutex_);
  Bury(network, wire);
  return guarded;
}

// Claims the place. An endpoint: it is there already.
absl::StatusOr<HostNetworks::Record> HostNetworks::Begin(const EndpointRequest& request) {
  if (request.id.empty()) return absl::InvalidArgumentError("an endpoint needs an id");
  absl::MutexLock lock(&mutex_);
  if (!recovered_) return absl::FailedPreconditionError("the network was not recovered yet");
  auto [it, inserted] = records_[request.id].try_emplace(IdOf(request.network_id), std::nullopt);
  if (inserted) return Record();
  if (!it->second.has_value()) {
    return absl::UnavailableError(absl::StrCat("endpoint ", request.id, " is being connected"));
  }
  Endpoint& endpoint = *it->second;
  const bool same = (request.address.empty() || request.address == endpoint.address) &&
                    (request.address6.empty() || request.address6 == endpoint.address6) &&
                    (request.mac_address.empty() || request.mac_address == endpoint.mac_address);
  if (!same) {
    return absl::AlreadyExistsError(
        absl::StrCat("endpoint ", request.id, " is connected in another way"));
  }
  endpoint.names = request.names;
  endpoint.links = request.links;
  return Record(endpoint);
}

void HostNetworks::Forget(const std::string& network_id, const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return;
  found->second.erase(IdOf(network_id));
  if (found->second.empty()) records_.erase(found);
}

void HostNetworks::Bury(const NetworkRef& network, const Wire& wire) {
  network->BeginRelease();
  dead_.push_back({network, wire, absl::Now()});
}

// Appends those of one group to `bound`, with one number for all of it.
absl::Status HostNetworks::ReservePorts(const std::vector<PublishedPort>& group,
                                        std::vector<PublishedPort>& bound) {
  PublishedPort wanted = group.front();
  for (int tries = 0;; ++tries) {
    ASSIGN_OR_RETURN(const PublishedPort first, ports_.Reserve(wanted));
    bound.push_back(first);
    if (group.size() == 1) return absl::OkStatus();
    PublishedPort second = group.back();
    second.host_port = first.host_port;
    second.host_port_last = 0;
    absl::StatusOr<PublishedPort> reserved = ports_.Reserve(second);
    if (reserved.ok()) {
      bound.push_back(*std::move(reserved));
      return absl::OkStatus();
    }
    // Another number may be free in both families, where any will do.
    const bool in_range = first.host_port < wanted.host_port_last;
    if (!absl::IsAlreadyExists(reserved.status()) || tries == kReserveTries ||
        !(in_range || wanted.host_port == 0)) {
      return reserved.status();
    }
    ports_.Release(first);
    bound.pop_back();
    if (in_range) wanted.host_port = first.host_port + 1;
  }
}

// Best effort: a client that pauses for half a minute is heard all the same.
void HostNetworks::ForgetUntranslated(const std::vector<PublishedPort>& ports) {
  std::vector<UdpPort> forgotten;
  for (const PublishedPort& port : ports) {
    if (port.protocol != PortProtocol::kUdp) continue;
    UdpPort udp{.port = port.host_port, .v6 = IsIpv6(port)};
    if (const auto host = ParseIpv4(port.host_address); host.ok()) udp.address = *host;
    forgotten.push_back(udp);
  }
  if (!forgotten.empty()) connections_->ForgetUntranslated(forgotten).IgnoreError();
}

// One that is not relayed is as good as without that: it is published in IPv4 all the same.
void HostNetworks::RelayPorts(const std::vector<PublishedPort>& ports, const Wire& wire) {
  for (const PublishedPort& port : ports) {
    if (!IsRelayed(port)) continue;
    UniqueFd socket = ports_.SocketOf(port);
    if (!socket.ok()) continue;
    const absl::Status added = relay_.Add(port, std::move(socket), wire.address);
    if (!added.ok()) Log(LogLevel::kWarning, added.message());
  }
}

absl::StatusOr<std::vector<PublishedPort>> HostNetworks::PublishPorts(
    const NetworkRef& network, const std::vector<PublishedPort>& ports, const Wire& wire) {
  if (ports.empty()) return ports;
  std::vector<PublishedPort> bound;
  auto publish = [&]() -> absl::Status {
    const bool has6 = wire.address6.has_value();
    for (const auto& group : Expand(ports, network->compiled(), has6, has6 || HostHasIpv6())) {
      if (IsIpv6(group.front()) && !IsRelayed(group.front()) && !has6) {
        return absl::InvalidArgumentError(absl::StrCat(
            "cannot publish on ", group.front().host_address, ": the network has no IPv6"));
      }
      RETURN_IF_ERROR(ReservePorts(group, bound));
    }
    std::vector<FirewallElement> elements;
    for (const PublishedPort& port : bound) AppendPort(port, wire, elements);
    return firewall_->Add(elements);
  };
  absl::Status status = publish();
  if (status.ok()) {
    ForgetUntranslated(bound);
    RelayPorts(bound, wire);
    return bound;
  }
  for (const PublishedPort& port : bound) ports_.Release(port);
  return status;
}

absl::Status HostNetworks::UnpublishPorts(const std::vector<PublishedPort>& ports,
                                          const Wire& wire) {
  std::vector<FirewallElement> elements;
  for (const PublishedPort& port : ports) {
    if (IsRelayed(port)) relay_.Remove(port);
    AppendPort(port, wire, elements);
  }
  const absl::Status status = firewall_->Remove(elements);
  for (const PublishedPort& port : ports) ports_.Release(port);
  return status;
}

absl::StatusOr<EndpointLease> HostNetworks::Finish(const NetworkRef& network,
                                                   const EndpointRequest& request,
                                                   const Wire& wire) {
  absl::StatusOr<std::vector<PublishedPort>> ports = PublishPorts(network, request.ports, wire);
  if (!ports.ok()) {
    absl::MutexLock lock(&mutex_);
    Forget(network->id(), request.id);
    Bury(network, wire);
    return ports.status();
  }
  Endpoint endpoint = network->EndpointOf(request, wire);
  endpoint.ports = *std::move(ports);
  absl::MutexLock lock(&mutex_);
  records_[request.id][network->id()] = endpoint;
  return EndpointLease(this, std::move(endpoint));
}

absl::StatusOr<EndpointLease> HostNetworks::Connect(const EndpointRequest& request, int netns_fd) {
  ASSIGN_OR_RETURN(const NetworkRef network, Find(request.network_id));
  ASSIGN_OR_RETURN(Record existing, Begin(request));
  if (existing.has_value()) return EndpointLease(this, *std::move(existing));
  absl::StatusOr<Wire> wire = MakeWire(network, request, netns_fd);
  if (!wire.ok()) {
    absl::MutexLock lock(&mutex_);
    Forget(request.network_id, request.id);
    return wire.status();
  }
  return Finish(network, request, *wire);
}

absl::StatusOr<NetworkNamespace> HostNetworks::CreateIsolatedNamespace() {
  {
    absl::MutexLock lock(&mutex_);
    if (!ready_isolated_.empty()) {
      NetworkNamespace ready = std::move(ready_isolated_.front());
      ready_isolated_.pop_front();
      short_since_ = std::min(short_since_, absl::Now());
      return ready;
    }
  }
  return visitor_->CreateNamespace();
}

absl::StatusOr<ConnectedNamespace> HostNetworks::CreateConnectedNamespace(
    const EndpointRequest& request) {
  std::optional<ReadyEndpoint> ready;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(request.id);
    if (found != records_.end() && found->second.contains(IdOf(request.network_id))) {
      return absl::AlreadyExistsError(
          absl::StrCat("endpoint ", request.id, " is connected to a namespace already"));
    }
    const bool any_will_do =
        IdOf(request.network_id) == kDefaultNetworkId && request.address.empty() &&
        request.mac_address.empty() && request.interface == "eth0" && request.default_route &&
        request.ingress_bytes_per_second == 0 && request.egress_bytes_per_second == 0;
    if (any_will_do && !ready_connected_.empty()) {
      ready = std::move(ready_connected_.front());
      ready_connected_.pop_front();
      short_since_ = std::min(short_since_, absl::Now());
    }
  }
  if (!ready.has_value()) {
    ASSIGN_OR_RETURN(NetworkNamespace made, CreateIsolatedNamespace());
    ASSIGN_OR_RETURN(EndpointLease lease, Connect(request, made.fd()));
    return ConnectedNamespace{std::move(made), std::move(lease)};
  }
  absl::StatusOr<Record> begun = Begin(request);
  if (!begun.ok() || begun->has_value()) {
    absl::MutexLock lock(&mutex_);
    Bury(default_, ready->wire);
    if (!begun.ok()) return begun.status();
    return absl::AlreadyExistsError(absl::StrCat("endpoint ", request.id, " has a namespace"));
  }
  ASSIGN_OR_RETURN(EndpointLease lease, Finish(default_, request, ready->wire));
  return ConnectedNamespace{std::move(ready->network_namespace), std::move(lease)};
}

absl::Status HostNetworks::Disconnect(const std::string& id) {
  std::vector<std::string> networks;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(id);
    if (found == records_.end()) return absl::OkStatus();
    for (const auto& [network_id, record] : found->second) networks.push_back(network_id);
  }
  absl::Status first;
  for (const std::string& network_id : networks) first.Update(DisconnectFrom(network_id, id, -1));
  return first;
}

absl::Status HostNetworks::DisconnectFrom(const std::string& network_id, const std::string& id,
                                          int netns_fd) {
  Endpoint endpoint;
  NetworkRef network;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(id);
    if (found == records_.end()) return absl::OkStatus();
    const auto record = found->second.find(IdOf(network_id));
    if (record == found->second.end()) return absl::OkStatus();
    if (!record->second.has_value()) {
      return absl::UnavailableError(absl::StrCat("endpoint ", id, " is being connected"));
    }
    endpoint = *std::move(record->second);
    const auto owner = networks_.find(IdOf(network_id));
    if (owner != networks_.end()) network = owner->second;
    Forget(network_id, id);
  }
  ASSIGN_OR_RETURN(const Wire wire, AttachedNetwork::WireOf(endpoint));
  const absl::Status status = UnpublishPorts(endpoint.ports, wire);
  if (network == nullptr) return status;
  // In a namespace that goes on it must be gone when this returns.
  if (netns_fd >= 0) RETURN_IF_ERROR(network->DeleteWire(wire, netns_fd));
  absl::MutexLock lock(&mutex_);
  Bury(network, wire);
  return status;
}

void HostNetworks::ForgetAddresses(const std::string& id) {
  std::vector<NetworkRef> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [network_id, network] : networks_) all.push_back(network);
  }
  for (const NetworkRef& network : all) network->ForgetAddressOf(id);
}

absl::StatusOr<Endpoint> HostNetworks::Publish(const std::string& network_id, const std::string& id,
                                               const std::vector<PublishedPort>& ports) {
  ASSIGN_OR_RETURN(const NetworkRef network, Find(network_id));
  std::vector<PublishedPort> before;
  Wire wire;
  {
    absl::MutexLock lock(&mutex_);
    Endpoint* endpoint = FindEndpoint(network->id(), id);
    if (endpoint == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat("endpoint ", id, " is not connected"));
    }
    before = std::exchange(endpoint->ports, {});
    ASSIGN_OR_RETURN(wire, AttachedNetwork::WireOf(*endpoint));
  }
  RETURN_IF_ERROR(UnpublishPorts(before, wire));
  ASSIGN_OR_RETURN(std::vector<PublishedPort> bound, PublishPorts(network, ports, wire));
  absl::MutexLock lock(&mutex_);
  Endpoint* endpoint = FindEndpoint(network->id(), id);
  if (endpoint == nullptr) return absl::AbortedError("disconnected meanwhile");
  endpoint->ports = std::move(bound);
  return *endpoint;
}

Endpoint* HostNetworks::FindEndpoint(const std::string& network_id, const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return nullptr;
  const auto record = found->second.find(network_id);
  const bool connected = record != found->second.end() && record->second.has_value();
  return connected ? &*record->second : nullptr;
}

absl::StatusOr<ResolverSockets> HostNetworks::OpenResolver(int netns_fd) {
  ResolverSockets sockets;
  RETURN_IF_ERROR(visitor_->Visit(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(sockets, OpenResolverSockets());
    return absl::OkStatus();
  }));
  return sockets;
}

absl::Status HostNetworks::Arrange(int netns_fd, const std::vector<Endpoint>& endpoints) {
  const Endpoint* gateway = GatewayOf(endpoints);
  return visitor_->Visit(netns_fd, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(NetlinkSocket inside, NetlinkSocket::Open(NETLINK_ROUTE));
    DeleteDefaultRoutes(inside);
    if (gateway == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const int index, FindLink(inside, gateway->interface));
    ASSIGN_OR_RETURN(const uint32_t address, ParseIpv4(gateway->gateway));
    NetlinkBatch batch;
    AddDefaultRoute(batch, address, index);
    if (!gateway->gateway6.empty()) {
      ASSIGN_OR_RETURN(const Address6 address6, ParseIpv6(gateway->gateway6));
      AddDefaultRoute6(batch, address6, index);
    }
    return inside.Run(batch);
  });
}

}  // namespace slipway::agent
