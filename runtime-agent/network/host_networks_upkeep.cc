#include <utility>

#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/connection_tracking.h"
#include "runtime-agent/network/host_networks.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

// What happens behind connections and beside them: recovery after a restart, and the thread.
namespace slipway::agent {
namespace {

constexpr absl::Duration kRefillRetry = absl::Seconds(1);
// Making a namespace, or taking an interface away, keeps a processor busy for a millisecond, which
// the start or the removal that it comes of is spared.
constexpr absl::Duration kWorkDelay = absl::Milliseconds(20);
constexpr size_t kManyDead = 64;

}  // namespace

HostNetworks::~HostNetworks() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    // Nobody has them; the addresses need no release any more.
    for (ReadyEndpoint& ready : ready_connected_) Bury(default_, ready.wire);
    ready_connected_.clear();
    ready_isolated_.clear();
  }
  if (worker_.joinable()) worker_.join();
}

absl::Status HostNetworks::TakeOver(const std::vector<Endpoint>& live,
                                    std::set<std::string>& interfaces,
                                    std::vector<FirewallElement>& elements) {
  for (const Endpoint& endpoint : live) {
    const absl::StatusOr<NetworkRef> network = Find(endpoint.network_id);
    if (!network.ok()) continue;  // its interface goes with the network
    ASSIGN_OR_RETURN(const Wire wire, AttachedNetwork::WireOf(endpoint));
    RETURN_IF_ERROR((*network)->TakeOver(wire));
    for (const PublishedPort& port : endpoint.ports) {
      AppendPort(port, wire, elements);
      RETURN_IF_ERROR(ports_.Restore(port));
    }
    const std::vector<FirewallElement> guards = (*network)->GuardsOf(wire);
    elements.insert(elements.end(), guards.begin(), guards.end());
    interfaces.insert(endpoint.host_interface);
    Endpoint kept = endpoint;
    // Of a record from before there were others.
    kept.network_id = (*network)->id();
    if (kept.network_name.empty()) kept.network_name = (*network)->compiled().definition.name;
    if (kept.interface.empty()) kept.interface = "eth0";
    absl::MutexLock lock(&mutex_);
    records_[endpoint.id][kept.network_id] = std::move(kept);
  }
  return absl::OkStatus();
}

absl::Status HostNetworks::RemoveUnknownLinks() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(const auto ours, ListAliased(socket, AliasOf(options_.prefix, "")));
  for (const auto& [name, alias] : ours) {
    const std::string id = alias.substr(AliasOf(options_.prefix, "").size());
    if (Find(id).ok()) continue;
    NetlinkBatch batch;
    DeleteLink(batch, name);
    socket.Run(batch).IgnoreError();
  }
  return absl::OkStatus();
}

absl::Status HostNetworks::Recover(const std::vector<NetworkDefinition>& networks,
                                   const std::vector<Endpoint>& live) {
  {
    absl::MutexLock lock(&mutex_);
    if (recovered_) return absl::FailedPreconditionError("the network is recovered already");
    for (const NetworkDefinition& definition : networks) {
      absl::StatusOr<CompiledNetwork> compiled = CompileNetwork(definition, options_.prefix);
      if (!compiled.ok()) continue;
      networks_[definition.id] = std::make_shared<AttachedNetwork>(
          *std::move(compiled), options_.prefix, options_.ports_per_bridge, visitor_.get());
    }
  }
  std::vector<FirewallElement> elements;
  std::vector<NetworkRef> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, network] : networks_) all.push_back(network);
  }
  for (const NetworkRef& network : all) {
    // One whose parent is gone is made when somebody connects to it.
    network->Make().IgnoreError();
    if (network->is_bridge()) AppendElements(network->firewall(), elements);
  }
  std::set<std::string> interfaces;
  RETURN_IF_ERROR(TakeOver(live, interfaces, elements));
  RETURN_IF_ERROR(firewall_->Replace(elements));
  for (const NetworkRef& network : all) RETURN_IF_ERROR(network->ReapPorts(interfaces));
  RETURN_IF_ERROR(RemoveUnknownLinks());
  absl::MutexLock lock(&mutex_);
  recovered_ = true;
  worker_ = std::thread([this] { Work(); });
  return absl::OkStatus();
}

bool HostNetworks::HasWork() const {
  if (stop_ || !dead_.empty()) return true;
  if (absl::Now() < refill_after_) return false;
  return ready_isolated_.size() < options_.ready_isolated ||
         (ready_connected_.size() < options_.ready_connected && default_->has_free_address());
}

// Work that does not wait: without an address that is to be given back, or with less than half a
// pool, the next starts would come to its end.
bool HostNetworks::HasUrgentWork() const {
  return stop_ || dead_.size() >= kManyDead ||
         (!dead_.empty() && !dead_.front().network->has_free_address()) ||
         2 * ready_isolated_.size() < options_.ready_isolated ||
         2 * ready_connected_.size() < options_.ready_connected;
}

void HostNetworks::Reap(const Dead& dead) {
  // A failure leaves the interface to the next Recover; its address stays taken until then.
  const bool deleted = dead.network->DeleteWire(dead.wire, -1).ok();
  firewall_->Remove(dead.network->GuardsOf(dead.wire)).IgnoreError();
  // Best effort: an older kernel lets them time out.
  ForgetConnectionsTo(dead.wire.address).IgnoreError();
  dead.network->EndRelease(dead.wire, deleted);
}

// Adds one namespace to the pool that lacks more; false when that failed.
bool HostNetworks::Refill() {
  bool connected;
  {
    absl::MutexLock lock(&mutex_);
    connected = ready_connected_.size() < options_.ready_connected && default_->has_free_address();
  }
  absl::StatusOr<NetworkNamespace> made = visitor_->CreateNamespace();
  if (!made.ok()) return false;
  if (!connected) {
    absl::MutexLock lock(&mutex_);
    ready_isolated_.push_back(*std::move(made));
    return true;
  }
  absl::StatusOr<Wire> wire = MakeWire(default_, {}, made->fd());
  if (!wire.ok()) return false;
  absl::MutexLock lock(&mutex_);
  ready_connected_.push_back({*std::move(made), *std::move(wire)});
  return true;
}

void HostNetworks::Work() {
  bool at_work = false;
  for (;;) {
    std::optional<Dead> dead;
    {
      absl::MutexLock lock(&mutex_);
      if (!HasWork()) {
        at_work = false;
        mutex_.AwaitWithTimeout(absl::Condition(this, &HostNetworks::HasWork), kRefillRetry);
      }
      if (HasWork() && !at_work) {
        at_work = true;
        mutex_.AwaitWithTimeout(absl::Condition(this, &HostNetworks::HasUrgentWork), kWorkDelay);
      }
      if (!dead_.empty()) {
        dead = std::move(dead_.front());
        dead_.pop_front();
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

}  // namespace slipway::agent
