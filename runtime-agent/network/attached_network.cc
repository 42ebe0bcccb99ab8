#include "runtime-agent/network/attached_network.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kReapTimeout = absl::Seconds(5);
constexpr size_t kMaxBridges = 128;
constexpr size_t kNamePrefixBytes = 5;

// As Docker makes it: locally administered, the rest is the address.
MacAddress MacOf(uint32_t address) {
  return {0x02,
          0x42,
          static_cast<uint8_t>(address >> 24),
          static_cast<uint8_t>(address >> 16),
          static_cast<uint8_t>(address >> 8),
          static_cast<uint8_t>(address)};
}

// "<up to 5 letters of the prefix><8 of the address>": unique in the host, since an address is.
std::string HostInterfaceName(const std::string& prefix, uint32_t address) {
  return absl::StrCat(prefix.substr(0, kNamePrefixBytes), absl::StrFormat("%08x", address));
}

bool IsHostInterfaceName(const std::string& prefix, absl::string_view name) {
  return absl::ConsumePrefix(&name, prefix.substr(0, kNamePrefixBytes)) && name.size() == 8 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool IsHexadecimal(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

absl::Status DeleteInterface(NetlinkSocket& socket, const std::string& name) {
  NetlinkBatch batch;
  DeleteLink(batch, name);
  const absl::Status deleted = socket.Run(batch);
  // It went with its namespace.
  if (absl::StrContains(deleted.message(), "ENODEV")) return absl::OkStatus();
  return deleted;
}

std::string BytesOf(uint32_t address) {
  const uint32_t bytes = htonl(address);
  return std::string(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
}

std::string BytesOf(const Address6& address) { return std::string(address.begin(), address.end()); }

std::string NewEndpointId() {
  char bytes[32] = {};
  // Only a name: nothing depends on it being unguessable.
  (void)!getrandom(bytes, sizeof(bytes), 0);
  return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
}

}  // namespace

absl::StatusOr<MacAddress> ParseMac(const std::string& text) {
  MacAddress mac;
  char end;
  if (text.size() != 17 || sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0],
                                  &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &end) != 6) {
    return absl::InvalidArgumentError(absl::StrCat("invalid MAC address '", text, "'"));
  }
  if ((mac[0] & 1) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("MAC address '", text, "' is a multicast one"));
  }
  return mac;
}

std::string FormatMac(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                         mac[5]);
}

bool IsNameOfOurs(const std::string& prefix, absl::string_view name) {
  if (IsHostInterfaceName(prefix, name)) return true;
  if (!absl::ConsumePrefix(&name, prefix.substr(0, kNamePrefixBytes))) return false;
  // "-<9 digits of an id>" or "<b, n, t or u><number>-<6 digits>".
  const size_t dash = name.find('-');
  if (dash == 0) return name.size() == 10 && IsHexadecimal(name.substr(1));
  return dash != absl::string_view::npos && dash >= 2 && name.size() - dash == 7 &&
         absl::string_view("bntu").find(name[0]) != absl::string_view::npos &&
         std::all_of(name.begin() + 1, name.begin() + dash, absl::ascii_isdigit) &&
         IsHexadecimal(name.substr(dash + 1));
}

std::string AliasOf(const std::string& prefix, const std::string& network_id) {
  return absl::StrCat("slipway/", prefix, "/", network_id);
}

AttachedNetwork::AttachedNetwork(CompiledNetwork compiled, std::string prefix,
                                 size_t ports_per_bridge, NamespaceVisitor* visitor)
    : compiled_(std::move(compiled)),
      prefix_(std::move(prefix)),
      ports_per_bridge_(ports_per_bridge),
      visitor_(visitor),
      addresses_(compiled_.subnet, compiled_.gateway, compiled_.range, compiled_.reserved) {}

absl::Status AttachedNetwork::Make() {
  absl::MutexLock lock(&mutex_);
  return MakeLocked();
}

absl::Status AttachedNetwork::MakeLocked() {
  if (made_) return absl::OkStatus();
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  RETURN_IF_ERROR(is_bridge() ? MakeBridge(socket) : MakeParent(socket));
  made_ = true;
  return absl::OkStatus();
}

absl::Status AttachedNetwork::MakeBridge(NetlinkSocket& socket) {
  const std::string& name = compiled_.link;
  const std::string alias = AliasOf(prefix_, id());
  absl::StatusOr<Link> link = ReadLink(socket, name);
  if (absl::IsNotFound(link.status())) {
    NetlinkBatch batch;
    AddBridge(batch, name, MacOf(compiled_.gateway), compiled_.mtu, alias);
    absl::Status made = socket.Run(batch);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    link = ReadLink(socket, name);
  }
  RETURN_IF_ERROR(link.status());
  if (link->kind != "bridge") {
    return absl::FailedPreconditionError(
        absl::StrCat("existing interface ", name, " is not a bridge"));
  }
  borrowed_ = link->alias != alias;
  const int index = link->index;
  RETURN_IF_ERROR(AddGateways(socket, index));
  RETURN_IF_ERROR(WriteKernelFile("/proc/sys/net/ipv4/ip_forward", "1"));
  // For the host's connections to published ports by 127.0.0.1; the firewall's guard chain is its
  // other half.
  RETURN_IF_ERROR(
      WriteKernelFile(absl::StrCat("/proc/sys/net/ipv4/conf/", name, "/route_localnet"), "1"));
  if (compiled_.subnet6.has_value()) {
    RETURN_IF_ERROR(WriteKernelFile("/proc/sys/net/ipv6/conf/all/forwarding", "1"));
  }
  bridges_ = {Bridge{.name = name, .index = index}};
  for (size_t number = 1; number < kMaxBridges; ++number) {
    const std::string extra = ExtraName('b', number);
    const absl::StatusOr<int> found = FindLink(socket, extra);
    if (!found.ok()) break;
    bridges_.push_back(Bridge{.name = extra, .index = *found});
  }
  return absl::OkStatus();
}

// An address that is there already is not ours to mark.
absl::Status AttachedNetwork::AddGateways(NetlinkSocket& socket, int index) {
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> present, ListAddresses(socket, index));
  const auto lacks = [&](const std::string& bytes, uint32_t prefix_length) {
    return std::none_of(present.begin(), present.end(), [&](const LinkAddress& one) {
      return one.bytes == bytes && one.prefix_length == prefix_length;
    });
  };
  NetlinkBatch batch;
  SetLinkUp(batch, index);
  if (lacks(BytesOf(compiled_.gateway), compiled_.subnet.prefix_length)) {
    AddAddress(batch, index, compiled_.gateway, compiled_.subnet.prefix_length, /*marked=*/true);
  }
  if (compiled_.subnet6.has_value() &&
      lacks(BytesOf(compiled_.gateway6), compiled_.subnet6->prefix_length)) {
    AddAddress6(batch, index, compiled_.gateway6, compiled_.subnet6->prefix_length,
                /*marked=*/true);
  }
  return socket.Run(batch);
}

absl::Status AttachedNetwork::TakeGatewaysOff(NetlinkSocket& socket) {
  const absl::StatusOr<int> index = FindLink(socket, compiled_.link);
  if (absl::IsNotFound(index.status())) return absl::OkStatus();
  RETURN_IF_ERROR(index.status());
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> present, ListAddresses(socket, *index));
  for (const LinkAddress& one : present) {
    const bool gateway =
        one.bytes == BytesOf(compiled_.gateway) ||
        (compiled_.subnet6.has_value() && one.bytes == BytesOf(compiled_.gateway6));
    if (!gateway || !one.marked) continue;
    NetlinkBatch batch;
    DeleteAddress(batch, *index, one);
    RETURN_IF_ERROR(socket.Run(batch));
  }
  return absl::OkStatus();
}

absl::Status AttachedNetwork::MakeParent(NetlinkSocket& socket) {
  const std::string& name = compiled_.parent.empty() ? compiled_.link : compiled_.parent;
  absl::StatusOr<int> index = FindLink(socket, name);
  if (absl::IsNotFound(index.status())) {
    if (!compiled_.parent.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("parent interface ", name, " of network ",
                                                     compiled_.definition.name, " does not exist"));
    }
    NetlinkBatch batch;
    // A cable to nowhere: not every kernel has dummy interfaces.
    AddCable(batch, {.first_name = name,
                     .second_name = ExtraName('n', 0),
                     .mtu = compiled_.mtu,
                     .alias = AliasOf(prefix_, id())});
    RETURN_IF_ERROR(socket.Run(batch));
    index = FindLink(socket, name);
  }
  RETURN_IF_ERROR(index.status());
  parent_index_ = *index;
  return absl::OkStatus();
}

std::string AttachedNetwork::ExtraName(char kind, size_t number) const {
  return absl::StrCat(prefix_.substr(0, kNamePrefixBytes), std::string(1, kind), number, "-",
                      id().substr(0, 6));
}

absl::StatusOr<AttachedNetwork::Bridge> AttachedNetwork::AddExtraBridge(NetlinkSocket& socket) {
  const size_t number = bridges_.size();
  if (number >= kMaxBridges) {
    return absl::ResourceExhaustedError(absl::StrCat("network ", compiled_.definition.name, " has ",
                                                     kMaxBridges * ports_per_bridge_,
                                                     " containers"));
  }
  Bridge extra{.name = ExtraName('b', number)};
  NetlinkBatch batch;
  const std::string alias = AliasOf(prefix_, id());
  AddBridge(batch, extra.name, MacOf(compiled_.gateway + static_cast<uint32_t>(number)),
            compiled_.mtu, alias);
  absl::Status made = socket.Run(batch);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  ASSIGN_OR_RETURN(extra.index, FindLink(socket, extra.name));
  NetlinkBatch cable;
  // Isolated where it enters the first bridge, so that isolated ports stay apart across bridges.
  AddCable(cable, {.first_name = ExtraName('t', number),
                   .first_bridge = bridges_.front().index,
                   .second_name = ExtraName('u', number),
                   .second_bridge = extra.index,
                   .mtu = compiled_.mtu,
                   .isolated = !compiled_.icc,
                   .alias = alias});
  made = socket.Run(cable);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  bridges_.push_back(extra);
  return extra;
}

absl::StatusOr<AttachedNetwork::Bridge> AttachedNetwork::TakePort(NetlinkSocket& socket,
                                                                  const std::string& port) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(MakeLocked());
  size_t number = 0;
  while (number < bridges_.size() && bridges_[number].ports >= ports_per_bridge_) ++number;
  if (number == bridges_.size()) RETURN_IF_ERROR(AddExtraBridge(socket).status());
  ++bridges_[number].ports;
  bridge_of_[port] = number;
  return bridges_[number];
}

absl::Status AttachedNetwork::Remove() {
  absl::MutexLock lock(&mutex_);
  made_ = false;
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  // An interface that somebody else had made stays.
  ASSIGN_OR_RETURN(const auto ours, ListAliased(socket, AliasOf(prefix_, id())));
  for (const auto& [name, alias] : ours) RETURN_IF_ERROR(DeleteInterface(socket, name));
  bridges_.clear();
  return std::exchange(borrowed_, false) ? TakeGatewaysOff(socket) : absl::OkStatus();
}

FirewallNetwork AttachedNetwork::firewall() const {
  return {.bridge = compiled_.link,
          .internal = compiled_.definition.internal,
          .masquerade = compiled_.masquerade,
          .icc = compiled_.icc,
          .subnet = compiled_.subnet,
          .subnet6 = compiled_.subnet6,
          .gateway = compiled_.gateway,
          .gateway6 = compiled_.gateway6};
}

std::vector<FirewallElement> AttachedNetwork::GuardsOf(const Wire& wire) const {
  std::vector<FirewallElement> elements;
  if (!is_bridge() || !compiled_.guarded) return elements;
  AppendElements(GuardedPort{wire.host_interface, wire.mac, wire.address, wire.address6}, elements);
  return elements;
}

// Those of the default bridge are taken before anybody asks for a namespace.
std::string AttachedNetwork::OwnerOf(const std::string& sandbox_id) const {
  return id() == kDefaultNetworkId ? "" : sandbox_id;
}

absl::Status AttachedNetwork::ReserveAddresses(const EndpointRequest& request, Wire& wire) {
  absl::MutexLock lock(&mutex_);
  if (!request.address.empty()) {
    ASSIGN_OR_RETURN(wire.address, ParseIpv4(request.address));
    RETURN_IF_ERROR(addresses_.ReserveAddress(wire.address, OwnerOf(request.id)));
  } else {
    // Addresses of interfaces that are being deleted are as good as free.
    const auto found = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return addresses_.free_count() > 0 || releasing_ == 0;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&found), kReapTimeout);
    ASSIGN_OR_RETURN(wire.address, addresses_.Reserve(OwnerOf(request.id)));
  }
  if (!compiled_.subnet6.has_value()) {
    if (request.address6.empty()) return absl::OkStatus();
    addresses_.Release(wire.address);
    return absl::InvalidArgumentError(
        absl::StrCat("network ", compiled_.definition.name, " has no IPv6"));
  }
  const Subnet6& subnet6 = *compiled_.subnet6;
  const auto fixed = [&](const Address6& address) {
    return address == compiled_.gateway6 || address == subnet6.network ||
           std::find(compiled_.reserved6.begin(), compiled_.reserved6.end(), address) !=
               compiled_.reserved6.end();
  };
  Address6 address6;
  if (!request.address6.empty()) {
    const absl::StatusOr<Address6> asked = ParseIpv6(request.address6);
    absl::Status status = asked.status();
    if (status.ok() && !subnet6.Contains(*asked)) {
      status =
          absl::InvalidArgumentError(absl::StrCat("address ", request.address6, " cannot be used"));
    }
    if (status.ok() && (fixed(*asked) || addresses6_.contains(*asked))) {
      status = absl::AlreadyExistsError(
          absl::StrCat("address ", request.address6, " is already in use"));
    }
    if (!status.ok()) {
      addresses_.Release(wire.address);
      return status;
    }
    address6 = *asked;
  } else {
    // The same number in both families, unless somebody chose that one.
    uint64_t offset = wire.address - compiled_.subnet.network;
    do {
      address6 = subnet6.At(offset++);
    } while (addresses6_.contains(address6) || fixed(address6));
    if (!subnet6.Contains(address6)) {
      addresses_.Release(wire.address);
      return absl::ResourceExhaustedError("no IPv6 address is left");
    }
  }
  addresses6_.insert(address6);
  wire.address6 = address6;
  return absl::OkStatus();
}

void AttachedNetwork::ReleaseAddresses(const Wire& wire) {
  addresses_.Release(wire.address);
  if (wire.address6.has_value()) addresses6_.erase(*wire.address6);
}

// Makes the interface, its end inside still down.
absl::Status AttachedNetwork::AddOutside(const Wire& wire, int netns_fd) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  NetlinkBatch batch;
  if (is_bridge()) {
    ASSIGN_OR_RETURN(const Bridge bridge, TakePort(socket, wire.host_interface));
    AddVethPair(batch, {.host_name = wire.host_interface,
                        .bridge_name = bridge.name,
                        .bridge_index = bridge.index,
                        .peer_name = wire.interface,
                        .peer_netns_fd = netns_fd,
                        .peer_mac = wire.mac,
                        .mtu = compiled_.mtu,
                        .isolated = !compiled_.icc});
    return socket.Run(batch);
  }
  ChildLink link{.kind = compiled_.definition.driver,
                 .mode = compiled_.mode,
                 .parent_name = compiled_.parent.empty() ? compiled_.link : compiled_.parent,
                 .name = wire.interface,
                 .netns_fd = netns_fd,
                 .mac = wire.mac};
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(MakeLocked());
    link.parent_index = parent_index_;
  }
  AddChildLink(batch, link);
  const absl::Status made = socket.Run(batch);
  if (absl::StrContains(made.message(), "EOPNOTSUPP")) {
    return absl::UnimplementedError(
        absl::StrCat("the kernel of this host has no ", link.kind, " interfaces"));
  }
  return made;
}

// Inside the namespace.
absl::Status AttachedNetwork::Configure(const EndpointRequest& request, const Wire& wire) const {
  ASSIGN_OR_RETURN(NetlinkSocket inside, NetlinkSocket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(const int index, FindLink(inside, wire.interface));
  // Best effort: a kernel without IPv6 has no such files.
  const auto set6 = [&](const char* name, const char* value) {
    WriteKernelFile(absl::StrCat("/proc/sys/net/ipv6/conf/", wire.interface, "/", name), value)
        .IgnoreError();
  };
  // What a start sends to every container of its network is what bounds how many there can be. So
  // nobody who was given no IPv6 gets a link-local address (as with Docker), and nobody looks for
  // routers, whose answers are dropped, or for others with an address that only one is given.
  if (!wire.address6.has_value()) {
    set6("disable_ipv6", "1");
  } else {
    set6("accept_ra", "0");
    set6("accept_dad", "0");
  }
  NetlinkBatch batch;
  SetLinkUp(batch, index);
  AddAddress(batch, index, wire.address, compiled_.subnet.prefix_length);
  if (wire.address6.has_value()) {
    AddAddress6(batch, index, *wire.address6, compiled_.subnet6->prefix_length);
  }
  if (request.default_route && !compiled_.definition.internal) {
    AddDefaultRoute(batch, compiled_.gateway, index);
    if (wire.address6.has_value()) AddDefaultRoute6(batch, compiled_.gateway6, index);
  }
  if (request.egress_bytes_per_second != 0) {
    SetRate(batch, index, request.egress_bytes_per_second, compiled_.mtu);
  }
  return inside.Run(batch);
}

absl::StatusOr<Wire> AttachedNetwork::MakeWire(const EndpointRequest& request, int netns_fd) {
  std::optional<MacAddress> requested_mac;
  if (!request.mac_address.empty()) {
    ASSIGN_OR_RETURN(requested_mac, ParseMac(request.mac_address));
  }
  Wire wire{.interface = request.interface};
  RETURN_IF_ERROR(ReserveAddresses(request, wire));
  wire.mac = requested_mac.value_or(MacOf(wire.address));
  if (is_bridge()) wire.host_interface = HostInterfaceName(prefix_, wire.address);
  const auto make = [&]() -> absl::Status {
    RETURN_IF_ERROR(AddOutside(wire, netns_fd));
    RETURN_IF_ERROR(visitor_->Visit(netns_fd, [&] { return Configure(request, wire); }));
    if (!is_bridge()) return absl::OkStatus();
    // Interfaces whose carrier just came drop packets until the kernel's link watch has run, which
    // cost the first connection a second (a lost SYN). Asking for an interface waits for that
    // (Linux 6.9 on).
    ASSIGN_OR_RETURN(NetlinkSocket host, NetlinkSocket::Open(NETLINK_ROUTE));
    ASSIGN_OR_RETURN(const int index, FindLink(host, wire.host_interface));
    if (request.ingress_bytes_per_second != 0) {
      NetlinkBatch batch;
      SetRate(batch, index, request.ingress_bytes_per_second, compiled_.mtu);
      RETURN_IF_ERROR(host.Run(batch));
    }
    return FindLink(host, compiled_.link).status();
  };
  const absl::Status made = make();
  if (made.ok()) return wire;
  BeginRelease();
  EndRelease(wire, DeleteWire(wire, netns_fd).ok());
  return made;
}

absl::Status AttachedNetwork::DeleteWire(const Wire& wire, int netns_fd) {
  const auto remove = [](const std::string& name) -> absl::Status {
    ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
    return DeleteInterface(socket, name);
  };
  if (!wire.host_interface.empty()) return remove(wire.host_interface);
  if (netns_fd < 0) return absl::OkStatus();
  return visitor_->Visit(netns_fd, [&] { return remove(wire.interface); });
}

Endpoint AttachedNetwork::EndpointOf(const EndpointRequest& request, const Wire& wire) const {
  Endpoint endpoint{.id = request.id,
                    .address = FormatIpv4(wire.address),
                    .prefix_length = compiled_.subnet.prefix_length,
                    .mac_address = FormatMac(wire.mac),
                    .host_interface = wire.host_interface,
                    .network_id = id(),
                    .network_name = compiled_.definition.name,
                    .endpoint_id = NewEndpointId(),
                    .interface = wire.interface,
                    .gateway_priority = request.gateway_priority,
                    .names = request.names,
                    .links = request.links};
  if (!compiled_.definition.internal) endpoint.gateway = FormatIpv4(compiled_.gateway);
  if (wire.address6.has_value()) {
    endpoint.address6 = FormatIpv6(*wire.address6);
    endpoint.prefix_length6 = compiled_.subnet6->prefix_length;
    if (!compiled_.definition.internal) endpoint.gateway6 = FormatIpv6(compiled_.gateway6);
  }
  return endpoint;
}

absl::StatusOr<Wire> AttachedNetwork::WireOf(const Endpoint& endpoint) {
  Wire wire{.host_interface = endpoint.host_interface, .interface = endpoint.interface};
  ASSIGN_OR_RETURN(wire.address, ParseIpv4(endpoint.address));
  ASSIGN_OR_RETURN(wire.mac, ParseMac(endpoint.mac_address));
  if (!endpoint.address6.empty()) {
    ASSIGN_OR_RETURN(wire.address6, ParseIpv6(endpoint.address6));
  }
  return wire;
}

absl::Status AttachedNetwork::TakeOver(const std::string& sandbox_id, const Wire& wire) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(addresses_.ReserveAddress(wire.address, OwnerOf(sandbox_id)));
  if (wire.address6.has_value()) addresses6_.insert(*wire.address6);
  return absl::OkStatus();
}

absl::Status AttachedNetwork::ReapPorts(const std::set<std::string>& live) {
  if (!is_bridge()) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  bridge_of_.clear();
  for (size_t number = 0; number < bridges_.size(); ++number) {
    Bridge& bridge = bridges_[number];
    ASSIGN_OR_RETURN(const std::vector<std::string> present, ListBridgePorts(socket, bridge.index));
    bridge.ports = 0;
    for (const std::string& name : present) {
      // Only ours: somebody may have put an interface of their own into the bridge.
      if (!IsHostInterfaceName(prefix_, name)) continue;
      if (live.contains(name)) {
        ++bridge.ports;
        bridge_of_[name] = number;
      } else {
        RETURN_IF_ERROR(DeleteInterface(socket, name));
      }
    }
  }
  return absl::OkStatus();
}

std::optional<uint32_t> AttachedNetwork::LastAddressOf(const std::string& sandbox_id) const {
  absl::MutexLock lock(&mutex_);
  return addresses_.LastOf(sandbox_id);
}

void AttachedNetwork::ForgetAddressOf(const std::string& sandbox_id) {
  absl::MutexLock lock(&mutex_);
  addresses_.Forget(sandbox_id);
}

void AttachedNetwork::BeginRelease() {
  absl::MutexLock lock(&mutex_);
  ++releasing_;
}

void AttachedNetwork::EndRelease(const Wire& wire, bool deleted) {
  absl::MutexLock lock(&mutex_);
  --releasing_;
  if (!deleted) return;
  ReleaseAddresses(wire);
  const auto found = bridge_of_.find(wire.host_interface);
  if (found == bridge_of_.end()) return;
  if (found->second < bridges_.size()) --bridges_[found->second].ports;
  bridge_of_.erase(found);
}

bool AttachedNetwork::has_free_address() const {
  absl::MutexLock lock(&mutex_);
  return addresses_.free_count() > 0;
}

}  // namespace slipway::agent
