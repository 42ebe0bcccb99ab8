#ifndef RUNTIME_AGENT_NETWORK_HOST_NETWORKS_H_
#define RUNTIME_AGENT_NETWORK_HOST_NETWORKS_H_

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "runtime-agent/network/attached_network.h"
#include "runtime-agent/network/bridge_network.h"
#include "runtime-agent/network/connection_tracking.h"
#include "runtime-agent/network/firewall.h"
#include "runtime-agent/network/network_driver.h"
#include "runtime-agent/network/port_relay.h"
#include "runtime-agent/network/port_reservations.h"

namespace slipway::agent {

using NetworkRef = std::shared_ptr<AttachedNetwork>;

// The elements that publish a port of a wire.
void AppendPort(const PublishedPort& port, const Wire& wire,
                std::vector<FirewallElement>& elements);

// All networks of a host: who is in them, what is published, and a pool of namespaces that are
// made ahead of need by a thread that also deletes interfaces behind their disconnection.
// Thread-safe.
class HostNetworks : public NetworkDriver {
 public:
  explicit HostNetworks(BridgeOptions options) : options_(std::move(options)) {}

  ~HostNetworks() override;

  absl::Status Start(CompiledNetwork default_network);

  absl::Status PutNetwork(const NetworkDefinition& definition, bool refuse_overlap) override;
  absl::Status RemoveNetwork(const std::string& network_id) override;
  std::vector<std::string> ListNetworks() const override;
  absl::StatusOr<NetworkDefinition> FindNetwork(const std::string& network_id) const override;
  absl::StatusOr<NetworkNamespace> CreateIsolatedNamespace() override;
  absl::StatusOr<ConnectedNamespace> CreateConnectedNamespace(
      const EndpointRequest& request) override;
  absl::StatusOr<EndpointLease> Connect(const EndpointRequest& request, int netns_fd) override;
  absl::Status Disconnect(const std::string& id) override;
  absl::Status DisconnectFrom(const std::string& network_id, const std::string& id,
                              int netns_fd) override;
  void ForgetAddresses(const std::string& id) override;
  absl::StatusOr<Endpoint> Publish(const std::string& network_id, const std::string& id,
                                   const std::vector<PublishedPort>& ports) override;
  absl::Status Arrange(int netns_fd, const std::vector<Endpoint>& endpoints) override;
  absl::StatusOr<ResolverSockets> OpenResolver(int netns_fd) override;
  absl::Status Recover(const std::vector<NetworkDefinition>& networks,
                       const std::vector<Endpoint>& live) override;

 private:
  struct ReadyEndpoint {
    NetworkNamespace network_namespace;
    Wire wire;
  };
  struct Dead {
    NetworkRef network;
    Wire wire;
    absl::Time since;
  };
  // Empty while it is being connected.
  using Record = std::optional<Endpoint>;

  absl::StatusOr<NetworkRef> Find(const std::string& network_id) const ABSL_LOCKS_EXCLUDED(mutex_);
  // PermissionDenied, as Docker says it, when the name of its bridge is taken.
  absl::Status ClaimLink(const CompiledNetwork& compiled) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Wire> MakeWire(const NetworkRef& network, const EndpointRequest& request,
                                int netns_fd);
  absl::StatusOr<Record> Begin(const EndpointRequest& request);
  absl::StatusOr<EndpointLease> Finish(const NetworkRef& network, const EndpointRequest& request,
                                       const Wire& wire);
  absl::Status ReservePorts(const std::vector<PublishedPort>& group,
                            std::vector<PublishedPort>& bound);
  void ForgetUntranslated(const std::vector<PublishedPort>& ports);
  void RelayPorts(const std::vector<PublishedPort>& ports, const Wire& wire);
  absl::StatusOr<std::vector<PublishedPort>> PublishPorts(const NetworkRef& network,
                                                          const std::vector<PublishedPort>& ports,
                                                          const Wire& wire);
  absl::Status UnpublishPorts(const std::vector<PublishedPort>& ports, const Wire& wire);
  // Null where it is not connected.
  Endpoint* FindEndpoint(const std::string& network_id, const std::string& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::string& network_id, const std::string& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Bury(const NetworkRef& network, const Wire& wire) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeOver(const std::vector<Endpoint>& live, std::set<std::string>& interfaces,
                        std::vector<FirewallElement>& elements) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RemoveUnknownLinks();

  void Work();
  // When there is something to do.
  absl::Time RefillDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time ReapDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ManyDead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes away an interface of which `reaping_` tells.
  void Reap(std::list<Dead>::iterator dead) ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns when there is no dead interface of the network any more that `is_meant`: its name, its
  // address and its rules may be another's from then on.
  void ReapNow(const NetworkRef& network, const std::function<bool(const Wire&)>& is_meant)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool Refill();

  const BridgeOptions options_;
  std::unique_ptr<NamespaceVisitor> visitor_;
  std::unique_ptr<NamespaceVisitor> pool_visitor_;
  std::unique_ptr<Firewall> firewall_;
  std::unique_ptr<ConnectionTracking> connections_;
  NetworkRef default_;
  PortReservations ports_;
  PortRelay relay_;

  mutable absl::Mutex mutex_;
  std::map<std::string, NetworkRef> networks_ ABSL_GUARDED_BY(mutex_);
  // Of networks that are being made: their ids, by the names of their bridges.
  std::map<std::string, std::string> claimed_links_ ABSL_GUARDED_BY(mutex_);
  // By sandbox, then by network.
  absl::flat_hash_map<std::string, std::map<std::string, Record>> records_ ABSL_GUARDED_BY(mutex_);
  std::deque<ReadyEndpoint> ready_connected_ ABSL_GUARDED_BY(mutex_);
  std::deque<NetworkNamespace> ready_isolated_ ABSL_GUARDED_BY(mutex_);
  std::deque<Dead> dead_ ABSL_GUARDED_BY(mutex_);    // interfaces to delete
  std::list<Dead> reaping_ ABSL_GUARDED_BY(mutex_);  // that are being deleted
  // Since when the pools lack something.
  absl::Time short_since_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time refill_after_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool recovered_ ABSL_GUARDED_BY(mutex_) = false;
  bool limits_raised_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread worker_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_HOST_NETWORKS_H_
