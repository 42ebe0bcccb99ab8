#include "runtime-agent/network/bridge_network.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/connection_tracking.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/nat_table.h"
#include "runtime-agent/network/netlink.h"
#include "runtime-agent/network/port_reservations.h"

namespace slipway::agent {
namespace {

constexpr const char* kContainerInterface = "eth0";
constexpr absl::Duration kReapTimeout = absl::Seconds(5);
constexpr absl::Duration kRefillRetry = absl::Seconds(1);

// As Docker makes it: locally administered, the rest is the address.
MacAddress MacOf(uint32_t address) {
  return {0x02,
          0x42,
          static_cast<uint8_t>(address >> 24),
          static_cast<uint8_t>(address >> 16),
          static_cast<uint8_t>(address >> 8),
          static_cast<uint8_t>(address)};
}

std::string FormatMac(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                         mac[5]);
}

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

// "<up to 5 letters of the prefix><10 of the address and prefix>": unique in the host, since an
// address is.
std::string HostInterfaceName(const std::string& prefix, uint32_t address) {
  return absl::StrCat(prefix.substr(0, 5), absl::StrFormat("%08x", address));
}

absl::Status ValidatePrefix(const std::string& prefix) {
  bool valid = !prefix.empty() && prefix.size() <= 13 &&
               std::all_of(prefix.begin(), prefix.end(),
                           [](unsigned char c) { return isalnum(c) || c == '-' || c == '_'; });
  return valid ? absl::OkStatus()
               : absl::InvalidArgumentError(
                     absl::StrCat("prefix '", prefix, "' must be 1 to 13 letters or digits"));
}

absl::StatusOr<NatNames> NamesOf(const BridgeOptions& options) {
  RETURN_IF_ERROR(ValidatePrefix(options.prefix));
  ASSIGN_OR_RETURN(Subnet subnet, Subnet::Parse(options.subnet));
  return NatNames{options.prefix, absl::StrCat(options.prefix, "0"), subnet};
}

// One end in the bridge, the other configured in the namespace.
struct Wire {
  uint32_t address = 0;
  MacAddress mac = {};
  std::string host_interface;
};

class BridgeNetwork : public NetworkDriver {
 public:
  BridgeNetwork(BridgeOptions options, NatNames names)
      : options_(std::move(options)), names_(std::move(names)), addresses_(names_.subnet) {}

  ~BridgeNetwork() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
      // Nobody has them; the addresses need no release any more.
      for (ReadyEndpoint& ready : ready_connected_) dead_.push_back(ready.wire);
      ready_connected_.clear();
      ready_isolated_.clear();
    }
    if (worker_.joinable()) worker_.join();
  }

  absl::Status Start();

  absl::StatusOr<NetworkNamespace> CreateIsolatedNamespace() override;
  absl::StatusOr<ConnectedNamespace> CreateConnectedNamespace(
      const EndpointRequest& request) override;
  absl::StatusOr<EndpointLease> Connect(const EndpointRequest& request, int netns_fd) override;
  absl::Status Disconnect(const std::string& id) override;
  absl::Status Recover(const std::vector<Endpoint>& live) override;

 private:
  struct ReadyEndpoint {
    NetworkNamespace network_namespace;
    Wire wire;
  };
  struct Record {
    EndpointRequest request;
    // Empty while it is being connected.
    std::optional<Endpoint> endpoint;
  };

  absl::Status MakeBridge();
  absl::StatusOr<uint32_t> ReserveAddress(const std::string& requested);
  void ReleaseAddress(uint32_t address);
  absl::StatusOr<Wire> MakeWire(const EndpointRequest& request, int netns_fd);
  absl::Status DeleteInterface(const std::string& name);

  absl::StatusOr<std::optional<Endpoint>> Begin(const EndpointRequest& request);
  absl::StatusOr<EndpointLease> Finish(const EndpointRequest& request, const Wire& wire);
  absl::StatusOr<std::vector<PublishedPort>> PublishPorts(const EndpointRequest& request,
                                                          uint32_t address);
  std::vector<NatEntry> NatEntries(const std::vector<PublishedPort>& ports, uint32_t address) const;
  void Abandon(const std::string& id, const Wire* wire);

  void Work();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Reap(const Wire& wire);
  bool Refill();

  const BridgeOptions options_;
  const NatNames names_;
  int bridge_index_ = 0;
  std::unique_ptr<NamespaceVisitor> visitor_;
  std::unique_ptr<NatTable> nat_;
  PortReservations ports_;

  absl::Mutex mutex_;
  AddressPool addresses_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Record> records_ ABSL_GUARDED_BY(mutex_);
  std::deque<ReadyEndpoint> ready_connected_ ABSL_GUARDED_BY(mutex_);
  std::deque<NetworkNamespace> ready_isolated_ ABSL_GUARDED_BY(mutex_);
  std::deque<Wire> dead_ ABSL_GUARDED_BY(mutex_);  // interfaces to delete; then the address is free
  size_t reaping_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time refill_after_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool recovered_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread worker_;
};

absl::Status BridgeNetwork::MakeBridge() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  absl::StatusOr<int> index = FindLink(socket, names_.bridge);
  if (absl::IsNotFound(index.status())) {
    NetlinkBatch batch;
    AddBridge(batch, names_.bridge, MacOf(names_.subnet.gateway()), options_.mtu);
    absl::Status made = socket.Run(batch);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    index = FindLink(socket, names_.bridge);
  }
  RETURN_IF_ERROR(index.status());
  bridge_index_ = *index;
  NetlinkBatch batch;
  SetLinkUp(batch, bridge_index_);
  AddAddress(batch, bridge_index_, names_.subnet.gateway(), names_.subnet.prefix_length);
  return socket.Run(batch);
}

absl::Status BridgeNetwork::Start() {
  RETURN_IF_ERROR(MakeBridge());
  RETURN_IF_ERROR(WriteKernelFile("/proc/sys/net/ipv4/ip_forward", "1"));
  // For the host's connections to published ports by 127.0.0.1; the table's guard chain is its
  // other half.
  RETURN_IF_ERROR(WriteKernelFile(
      absl::StrCat("/proc/sys/net/ipv4/conf/", names_.bridge, "/route_localnet"), "1"));
  ASSIGN_OR_RETURN(visitor_, NamespaceVisitor::Start());
  ASSIGN_OR_RETURN(nat_, NatTable::Open(names_, options_.heal_rules));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> BridgeNetwork::ReserveAddress(const std::string& requested) {
  if (!requested.empty()) {
    ASSIGN_OR_RETURN(uint32_t address, ParseIpv4(requested));
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(addresses_.ReserveAddress(address));
    return address;
  }
  absl::MutexLock lock(&mutex_);
  // Addresses of interfaces that are being deleted, and of ready namespaces, are as good as free.
  auto found = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return addresses_.free_count() > 0 || (dead_.empty() && reaping_ == 0);
  };
  mutex_.AwaitWithTimeout(absl::Condition(&found), kReapTimeout);
  return addresses_.Reserve();
}

void BridgeNetwork::ReleaseAddress(uint32_t address) {
  absl::MutexLock lock(&mutex_);
  addresses_.Release(address);
}

absl::StatusOr<Wire> BridgeNetwork::MakeWire(const EndpointRequest& request, int netns_fd) {
  std::optional<MacAddress> requested_mac;
  if (!request.mac_address.empty()) {
    ASSIGN_OR_RETURN(requested_mac, ParseMac(request.mac_address));
  }
  Wire wire;
  ASSIGN_OR_RETURN(wire.address, ReserveAddress(request.address));
  wire.mac = requested_mac.value_or(MacOf(wire.address));
  wire.host_interface = HostInterfaceName(options_.prefix, wire.address);
  auto make = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(NetlinkSocket host, NetlinkSocket::Open(NETLINK_ROUTE));
    NetlinkBatch batch;
    AddVethPair(batch, {wire.host_interface, names_.bridge, bridge_index_, kContainerInterface,
                        netns_fd, wire.mac, options_.mtu});
    RETURN_IF_ERROR(host.Run(batch));
    RETURN_IF_ERROR(visitor_->Visit(netns_fd, [&]() -> absl::Status {
      ASSIGN_OR_RETURN(NetlinkSocket inside, NetlinkSocket::Open(NETLINK_ROUTE));
      ASSIGN_OR_RETURN(int index, FindLink(inside, kContainerInterface));
      NetlinkBatch configuration;
      SetLinkUp(configuration, index);
      AddAddress(configuration, index, wire.address, names_.subnet.prefix_length);
      AddDefaultRoute(configuration, names_.subnet.gateway(), index);
      return inside.Run(configuration);
    }));
    // Interfaces whose carrier just came drop packets until the kernel's link watch has run, which
    // cost the first connection a second (a lost SYN). Asking for an interface waits for that
    // (Linux 6.9 on).
    RETURN_IF_ERROR(FindLink(host, wire.host_interface).status());
    return FindLink(host, names_.bridge).status();
  };
  absl::Status made = make();
  if (made.ok()) return wire;
  DeleteInterface(wire.host_interface).IgnoreError();
  ReleaseAddress(wire.address);
  return made;
}

absl::Status BridgeNetwork::DeleteInterface(const std::string& name) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  NetlinkBatch batch;
  DeleteLink(batch, name);
  absl::Status deleted = socket.Run(batch);
  // It went with its namespace.
  if (absl::StrContains(deleted.message(), "ENODEV")) return absl::OkStatus();
  return deleted;
}

// Claims the id. An endpoint: it is there already.
absl::StatusOr<std::optional<Endpoint>> BridgeNetwork::Begin(const EndpointRequest& request) {
  if (request.id.empty()) return absl::InvalidArgumentError("an endpoint needs an id");
  absl::MutexLock lock(&mutex_);
  if (!recovered_) return absl::FailedPreconditionError("the network was not recovered yet");
  auto [it, inserted] = records_.try_emplace(request.id, Record{request, std::nullopt});
  if (inserted) return std::nullopt;
  const Record& record = it->second;
  if (!record.endpoint.has_value()) {
    return absl::UnavailableError(absl::StrCat("endpoint ", request.id, " is being connected"));
  }
  const Endpoint& endpoint = *record.endpoint;
  bool same = (request.address.empty() || request.address == endpoint.address) &&
              (request.mac_address.empty() || request.mac_address == endpoint.mac_address) &&
              request.ports.size() == endpoint.ports.size();
  for (size_t i = 0; same && i < request.ports.size(); ++i) {
    PublishedPort wanted = request.ports[i];
    if (wanted.host_port == 0) wanted.host_port = endpoint.ports[i].host_port;
    same = wanted == endpoint.ports[i];
  }
  if (!same) {
    return absl::AlreadyExistsError(
        absl::StrCat("endpoint ", request.id, " is connected in another way"));
  }
  return endpoint;
}

std::vector<NatEntry> BridgeNetwork::NatEntries(const std::vector<PublishedPort>& ports,
                                                uint32_t address) const {
  std::vector<NatEntry> entries;
  for (const PublishedPort& port : ports) {
    absl::StatusOr<uint32_t> host = ParseIpv4(port.host_address);
    entries.push_back({PortProtocolNumber(port.protocol), host.ok() ? *host : 0, port.host_port,
                       address, port.container_port});
  }
  return entries;
}

absl::StatusOr<std::vector<PublishedPort>> BridgeNetwork::PublishPorts(
    const EndpointRequest& request, uint32_t address) {
  std::vector<PublishedPort> bound;
  auto publish = [&]() -> absl::Status {
    for (const PublishedPort& port : request.ports) {
      ASSIGN_OR_RETURN(PublishedPort reserved, ports_.Reserve(port));
      bound.push_back(std::move(reserved));
    }
    return nat_->Publish(NatEntries(bound, address));
  };
  absl::Status status = publish();
  if (status.ok()) return bound;
  for (const PublishedPort& port : bound) ports_.Release(port);
  return status;
}

absl::StatusOr<EndpointLease> BridgeNetwork::Finish(const EndpointRequest& request,
                                                    const Wire& wire) {
  absl::StatusOr<std::vector<PublishedPort>> ports = PublishPorts(request, wire.address);
  if (!ports.ok()) {
    Abandon(request.id, &wire);
    return ports.status();
  }
  Endpoint endpoint;
  endpoint.id = request.id;
  endpoint.address = FormatIpv4(wire.address);
  endpoint.prefix_length = names_.subnet.prefix_length;
  endpoint.gateway = FormatIpv4(names_.subnet.gateway());
  endpoint.mac_address = FormatMac(wire.mac);
  endpoint.host_interface = wire.host_interface;
  endpoint.ports = *std::move(ports);
  absl::MutexLock lock(&mutex_);
  records_[request.id].endpoint = endpoint;
  return EndpointLease(this, std::move(endpoint));
}

void BridgeNetwork::Abandon(const std::string& id, const Wire* wire) {
  absl::MutexLock lock(&mutex_);
  records_.erase(id);
  if (wire != nullptr) dead_.push_back(*wire);
}

absl::StatusOr<EndpointLease> BridgeNetwork::Connect(const EndpointRequest& request, int netns_fd) {
  ASSIGN_OR_RETURN(std::optional<Endpoint> existing, Begin(request));
  if (existing.has_value()) return EndpointLease(this, *std::move(existing));
  absl::StatusOr<Wire> wire = MakeWire(request, netns_fd);
  if (!wire.ok()) {
    Abandon(request.id, nullptr);
    return wire.status();
  }
  return Finish(request, *wire);
}

absl::StatusOr<NetworkNamespace> BridgeNetwork::CreateIsolatedNamespace() {
  {
    absl::MutexLock lock(&mutex_);
    if (!ready_isolated_.empty()) {
      NetworkNamespace ready = std::move(ready_isolated_.front());
      ready_isolated_.pop_front();
      return ready;
    }
  }
  return visitor_->CreateNamespace();
}

absl::StatusOr<ConnectedNamespace> BridgeNetwork::CreateConnectedNamespace(
    const EndpointRequest& request) {
  std::optional<ReadyEndpoint> ready;
  {
    absl::MutexLock lock(&mutex_);
    if (records_.contains(request.id)) {
      return absl::AlreadyExistsError(
          absl::StrCat("endpoint ", request.id, " is connected to a namespace already"));
    }
    bool any_will_do = request.address.empty() && request.mac_address.empty();
    if (any_will_do && !ready_connected_.empty()) {
      ready = std::move(ready_connected_.front());
      ready_connected_.pop_front();
    }
  }
  if (!ready.has_value()) {
    ASSIGN_OR_RETURN(NetworkNamespace made, CreateIsolatedNamespace());
    ASSIGN_OR_RETURN(EndpointLease lease, Connect(request, made.fd()));
    return ConnectedNamespace{std::move(made), std::move(lease)};
  }
  absl::StatusOr<std::optional<Endpoint>> begun = Begin(request);
  if (!begun.ok() || begun->has_value()) {
    absl::MutexLock lock(&mutex_);
    dead_.push_back(ready->wire);
    if (!begun.ok()) return begun.status();
    return absl::AlreadyExistsError(absl::StrCat("endpoint ", request.id, " has a namespace"));
  }
  ASSIGN_OR_RETURN(EndpointLease lease, Finish(request, ready->wire));
  return ConnectedNamespace{std::move(ready->network_namespace), std::move(lease)};
}

absl::Status BridgeNetwork::Disconnect(const std::string& id) {
  Endpoint endpoint;
  {
    absl::MutexLock lock(&mutex_);
    auto it = records_.find(id);
    if (it == records_.end()) return absl::OkStatus();
    if (!it->second.endpoint.has_value()) {
      return absl::UnavailableError(absl::StrCat("endpoint ", id, " is being connected"));
    }
    endpoint = *std::move(it->second.endpoint);
    records_.erase(it);
  }
  ASSIGN_OR_RETURN(uint32_t address, ParseIpv4(endpoint.address));
  absl::Status status = nat_->Unpublish(NatEntries(endpoint.ports, address));
  for (const PublishedPort& port : endpoint.ports) ports_.Release(port);
  absl::MutexLock lock(&mutex_);
  dead_.push_back({address, {}, endpoint.host_interface});
  return status;
}

absl::Status BridgeNetwork::Recover(const std::vector<Endpoint>& live) {
  std::vector<NatEntry> entries;
  std::set<std::string> interfaces;
  {
    absl::MutexLock lock(&mutex_);
    if (recovered_) return absl::FailedPreconditionError("the network is recovered already");
    for (const Endpoint& endpoint : live) {
      ASSIGN_OR_RETURN(uint32_t address, ParseIpv4(endpoint.address));
      RETURN_IF_ERROR(addresses_.ReserveAddress(address));
      std::vector<NatEntry> some = NatEntries(endpoint.ports, address);
      entries.insert(entries.end(), some.begin(), some.end());
      interfaces.insert(endpoint.host_interface);
      EndpointRequest request{endpoint.id, endpoint.address, endpoint.mac_address, endpoint.ports};
      records_[endpoint.id] = Record{std::move(request), endpoint};
    }
  }
  for (const Endpoint& endpoint : live) {
    for (const PublishedPort& port : endpoint.ports) RETURN_IF_ERROR(ports_.Restore(port));
  }
  RETURN_IF_ERROR(nat_->Replace(entries));
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(std::vector<std::string> present, ListBridgePorts(socket, bridge_index_));
  // Only ours: somebody may have put an interface of their own into the bridge.
  std::string ours = options_.prefix.substr(0, 5);
  for (const std::string& name : present) {
    if (!absl::StartsWith(name, ours) || interfaces.contains(name)) continue;
    RETURN_IF_ERROR(DeleteInterface(name));
  }
  absl::MutexLock lock(&mutex_);
  recovered_ = true;
  worker_ = std::thread([this] { Work(); });
  return absl::OkStatus();
}

bool BridgeNetwork::HasWork() const {
  if (stop_ || !dead_.empty()) return true;
  if (absl::Now() < refill_after_) return false;
  return ready_isolated_.size() < options_.ready_isolated ||
         (ready_connected_.size() < options_.ready_connected && addresses_.free_count() > 0);
}

void BridgeNetwork::Reap(const Wire& wire) {
  // A failure leaves the interface to the next Recover; its address stays taken until then.
  bool deleted = DeleteInterface(wire.host_interface).ok();
  // Best effort: an older kernel lets them time out.
  ForgetConnectionsTo(wire.address).IgnoreError();
  absl::MutexLock lock(&mutex_);
  if (deleted) addresses_.Release(wire.address);
  --reaping_;
}

// Adds one namespace to the pool that lacks more; false when that failed.
bool BridgeNetwork::Refill() {
  bool connected;
  {
    absl::MutexLock lock(&mutex_);
    connected = ready_connected_.size() < options_.ready_connected && addresses_.free_count() > 0;
  }
  absl::StatusOr<NetworkNamespace> made = visitor_->CreateNamespace();
  if (!made.ok()) return false;
  if (!connected) {
    absl::MutexLock lock(&mutex_);
    ready_isolated_.push_back(*std::move(made));
    return true;
  }
  absl::StatusOr<Wire> wire = MakeWire({}, made->fd());
  if (!wire.ok()) return false;
  absl::MutexLock lock(&mutex_);
  ready_connected_.push_back({*std::move(made), *std::move(wire)});
  return true;
}

void BridgeNetwork::Work() {
  for (;;) {
    std::optional<Wire> dead;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &BridgeNetwork::HasWork), kRefillRetry);
      if (!dead_.empty()) {
        dead = std::move(dead_.front());
        dead_.pop_front();
        ++reaping_;
      } else if (stop_) {
        return;
      } else if (!HasWork()) {
        continue;
      }
    }
    if (dead.has_value()) {
      Reap(*dead);
    } else if (!Refill()) {
      absl::MutexLock lock(&mutex_);
      refill_after_ = absl::Now() + kRefillRetry;
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkDriver>> NewBridgeNetwork(const BridgeOptions& options) {
  ASSIGN_OR_RETURN(NatNames names, NamesOf(options));
  auto network = std::make_unique<BridgeNetwork>(options, names);
  RETURN_IF_ERROR(network->Start());
  return network;
}

absl::Status RemoveBridgeNetwork(const BridgeOptions& options) {
  ASSIGN_OR_RETURN(NatNames names, NamesOf(options));
  absl::Status removed = RemoveNatTable(names);
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  absl::StatusOr<int> bridge = FindLink(socket, names.bridge);
  if (absl::IsNotFound(bridge.status())) return removed;
  RETURN_IF_ERROR(bridge.status());
  ASSIGN_OR_RETURN(std::vector<std::string> ports, ListBridgePorts(socket, *bridge));
  NetlinkBatch batch;
  for (const std::string& port : ports) {
    if (absl::StartsWith(port, options.prefix.substr(0, 5))) DeleteLink(batch, port);
  }
  DeleteLink(batch, names.bridge);
  absl::Status deleted = socket.Run(batch);
  return removed.ok() ? deleted : removed;
}

}  // namespace slipway::agent
