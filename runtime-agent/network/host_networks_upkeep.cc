#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/os/thread.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/host_networks.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/netlink.h"

// What happens behind connections and beside them: recovery after a restart, and the thread.
namespace slipway::agent {
namespace {

constexpr absl::Duration kRefillRetry = absl::Seconds(1);
// Making a namespace keeps a processor busy for a millisecond, which the start that it comes of is
// spared.
constexpr absl::Duration kRefillDelay = absl::Milliseconds(20);
// The kernel takes interfaces away with their namespaces, many at a time. One by one it takes some
// 20 ms each, and nobody else can change an interface meanwhile: this is for what is still there.
constexpr absl::Duration kReapDelay = absl::Milliseconds(250);
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
    RETURN_IF_ERROR((*network)->TakeOver(endpoint.id, wire));
    for (const PublishedPort& port : endpoint.ports) {
      AppendPort(port, wire, elements);
      RETURN_IF_ERROR(ports_.Restore(port));
    }
    RelayPorts(endpoint.ports, wire);
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
    const absl::Status made = network->Make();
    // What is no bridge is none of ours: no rule is for it.
    const bool refused = absl::IsFailedPrecondition(made);
    if (network->is_bridge() && !refused) AppendElements(network->firewall(), elements);
  }
  std::set<std::string> interfaces;
  RETURN_IF_ERROR(TakeOver(live, interfaces, elements));
  RETURN_IF_ERROR(firewall_->Replace(elements));
  for (const NetworkRef& network : all) RETURN_IF_ERROR(network->ReapPorts(interfaces));
  RETURN_IF_ERROR(RemoveUnknownLinks());
  absl::MutexLock lock(&mutex_);
  recovered_ = true;
  worker_ = std::thread([this] {
    NameThread("networks");
    GiveWayToOthers();
    Work();
  });
  return absl::OkStatus();
}

// A pool that is less than half full is filled at once: the next starts would come to its end.
absl::Time HostNetworks::RefillDue() const {
  const bool connected =
      ready_connected_.size() < options_.ready_connected && default_->has_free_address();
  if (ready_isolated_.size() >= options_.ready_isolated && !connected) {
    return absl::InfiniteFuture();
  }
  const bool urgent = 2 * ready_isolated_.size() < options_.ready_isolated ||
                      (connected && 2 * ready_connected_.size() < options_.ready_connected);
  return std::max(refill_after_, urgent ? absl::InfinitePast() : short_since_ + kRefillDelay);
}

bool HostNetworks::ManyDead() const {
  return dead_.size() >= kManyDead ||
         (!dead_.empty() && !dead_.front().network->has_free_address());
}

absl::Time HostNetworks::ReapDue() const {
  if (dead_.empty()) return stop_ ? absl::InfinitePast() : absl::InfiniteFuture();
  return stop_ || ManyDead() ? absl::InfinitePast() : dead_.front().since + kReapDelay;
}

void HostNetworks::Reap(std::list<Dead>::iterator entry) {
  const Dead dead = *entry;
  // A failure leaves the interface to the next Recover; its address stays taken until then.
  const bool deleted = dead.network->DeleteWire(dead.wire, -1).ok();
  firewall_->Remove(dead.network->GuardsOf(dead.wire)).IgnoreError();
  // Best effort: an older kernel lets them time out.
  connections_->ForgetThoseTo(dead.wire.address).IgnoreError();
  dead.network->EndRelease(dead.wire, deleted);
  absl::MutexLock lock(&mutex_);
  reaping_.erase(entry);
}

void HostNetworks::ReapNow(const NetworkRef& network,
                           const std::function<bool(const Wire&)>& is_meant) {
  const auto meant = [&](const Dead& dead) {
    return dead.network == network && is_meant(dead.wire);
  };
  std::vector<std::list<Dead>::iterator> mine;
  {
    absl::MutexLock lock(&mutex_);
    for (auto dead = dead_.begin(); dead != dead_.end();) {
      if (!meant(*dead)) {
        ++dead;
        continue;
      }
      mine.push_back(reaping_.insert(reaping_.end(), std::move(*dead)));
      dead = dead_.erase(dead);
    }
  }
  for (const auto dead : mine) Reap(dead);
  const auto gone = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::none_of(reaping_.begin(), reaping_.end(), meant);
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&gone));
}

// Adds one namespace to the pool that lacks more; false when that failed.
bool HostNetworks::Refill() {
  bool connected;
  {
    absl::MutexLock lock(&mutex_);
    connected = ready_connected_.size() < options_.ready_connected && default_->has_free_address();
  }
  absl::StatusOr<NetworkNamespace> made = pool_visitor_->CreateNamespace();
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
  for (;;) {
    std::optional<std::list<Dead>::iterator> dead;
    {
      absl::MutexLock lock(&mutex_);
      absl::Time due = std::min(RefillDue(), ReapDue());
      while (due > absl::Now()) {
        const auto sooner = [this, due]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
          return std::min(RefillDue(), ReapDue()) < due;
        };
        mutex_.AwaitWithDeadline(absl::Condition(&sooner), due);
        due = std::min(RefillDue(), ReapDue());
      }
      if (stop_ || ManyDead() || RefillDue() > absl::Now()) {
        if (dead_.empty() && stop_) return;
        if (dead_.empty()) continue;
        dead = reaping_.insert(reaping_.end(), std::move(dead_.front()));
        dead_.pop_front();
      }
    }
    if (dead.has_value()) {
      Reap(*dead);
      continue;
    }
    const bool refilled = Refill();
    absl::MutexLock lock(&mutex_);
    if (!refilled) refill_after_ = absl::Now() + kRefillRetry;
    const bool full = ready_isolated_.size() >= options_.ready_isolated &&
                      ready_connected_.size() >= options_.ready_connected;
    if (full) short_since_ = absl::InfiniteFuture();
  }
}

}  // namespace slipway::agent
