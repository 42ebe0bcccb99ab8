#ifndef RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_
#define RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/network/network_definition.h"
#include "runtime-agent/network/network_namespace.h"
#include "runtime-agent/network/resolver_sockets.h"

namespace slipway::agent {

enum class PortProtocol { kTcp, kUdp, kSctp };

struct PublishedPort {
  uint16_t container_port = 0;
  PortProtocol protocol = PortProtocol::kTcp;
  std::string host_address;     // empty: every address of the families that the endpoint has
  uint16_t host_port = 0;       // zero in a request: any free port
  uint16_t host_port_last = 0;  // in a request: any free one up to this; zero: host_port alone

  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

struct EndpointRequest {
  std::string id;           // of the sandbox; unique among the network's endpoints
  std::string address;      // IPv4; empty: any free one
  std::string mac_address;  // empty: made from the address
  std::vector<PublishedPort> ports;
  std::string network_id;          // empty: the default bridge
  std::string address6;            // empty: any free one, where the network has IPv6
  std::string interface = "eth0";  // inside
  bool default_route = true;       // by this endpoint
  int32_t gateway_priority = 0;
  std::vector<std::string> names;            // what others in the network find it by
  std::map<std::string, std::string> links;  // its own names for others, by their ids
  uint64_t ingress_bytes_per_second = 0;     // zero: no limit
  uint64_t egress_bytes_per_second = 0;
};

// One sandbox's connection to one network. What the agent saves to call Recover with after a
// restart.
struct Endpoint {
  std::string id;
  std::string address;  // "172.29.0.2"
  uint32_t prefix_length = 0;
  std::string gateway;               // empty: the network leads nowhere
  std::string mac_address;           // "02:42:ac:1d:00:02"
  std::string host_interface;        // the end of the veth pair that stays on the host
  std::vector<PublishedPort> ports;  // host ports filled in
  std::string network_id;
  std::string network_name;
  std::string endpoint_id;  // 64 hex digits
  std::string address6;     // empty: none
  uint32_t prefix_length6 = 0;
  std::string gateway6;
  std::string interface;
  int32_t gateway_priority = 0;
  std::vector<std::string> names;
  std::map<std::string, std::string> links;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// The endpoint by which the default route goes: the highest priority, then the least name of a
// network. Null where none leads out.
const Endpoint* GatewayOf(const std::vector<Endpoint>& endpoints);

class NetworkDriver;

// Disconnects on destruction unless released. Move-only. Must not outlive its driver.
class EndpointLease {
 public:
  EndpointLease() = default;
  EndpointLease(NetworkDriver* driver, Endpoint endpoint)
      : driver_(driver), endpoint_(std::move(endpoint)) {}
  EndpointLease(EndpointLease&& other) noexcept { *this = std::move(other); }
  EndpointLease& operator=(EndpointLease&& other) noexcept;
  ~EndpointLease();

  const Endpoint& endpoint() const { return endpoint_; }
  // The connection stays: the record that owns it is saved.
  Endpoint Release();

 private:
  NetworkDriver* driver_ = nullptr;
  Endpoint endpoint_;
};

struct ConnectedNamespace {
  NetworkNamespace network_namespace;
  EndpointLease lease;
};

// The networks of a host: the default bridge and those that were put. Thread-safe.
class NetworkDriver {
 public:
  virtual ~NetworkDriver() = default;

  // Makes the network. OK when it is there; AlreadyExists when another of that id is, or, with
  // `refuse_overlap`, when the host has a route for some of its addresses.
  virtual absl::Status PutNetwork(const NetworkDefinition& definition, bool refuse_overlap) = 0;
  // OK when there is none. FailedPrecondition while it has endpoints.
  virtual absl::Status RemoveNetwork(const std::string& network_id) = 0;
  // All but the default bridge.
  virtual std::vector<std::string> ListNetworks() const = 0;
  virtual absl::StatusOr<NetworkDefinition> FindNetwork(const std::string& network_id) const = 0;

  // A namespace with only `lo` (network "none"), from the pool where one is ready.
  virtual absl::StatusOr<NetworkNamespace> CreateIsolatedNamespace() = 0;

  // A namespace with `eth0` connected, from the pool where one is ready: the fast path of Connect.
  // AlreadyExists when the id is connected; other errors as Connect.
  virtual absl::StatusOr<ConnectedNamespace> CreateConnectedNamespace(
      const EndpointRequest& request) = 0;

  // Adds the interface, addresses, default route and published ports. The same id again gives the
  // endpoint that is there (AlreadyExists when the request differs from it).
  // NotFound: no such network. ResourceExhausted: no address is left. InvalidArgument: an address
  // outside the subnet. AlreadyExists: an address in use, or with Docker's words, "Bind for
  // 0.0.0.0:8080 failed: port is already allocated" (another container has it), or "... bind:
  // address already in use" (a process of the host has it).
  virtual absl::StatusOr<EndpointLease> Connect(const EndpointRequest& request, int netns_fd) = 0;

  // From all networks; OK when there is none. The namespaces themselves are not touched but for
  // their interfaces.
  virtual absl::Status Disconnect(const std::string& id) = 0;
  // From one. `netns_fd`: where the interface is to be deleted from, of a namespace that goes on.
  virtual absl::Status DisconnectFrom(const std::string& network_id, const std::string& id,
                                      int netns_fd) = 0;

  // A sandbox that was disconnected gets the addresses again that it had last, where they are free
  // (not on the default bridge, where namespaces are made before they are asked for). This one does
  // not come back.
  virtual void ForgetAddresses(const std::string& id) = 0;

  // Publishes other ports than before, or none. The endpoint as it is then.
  virtual absl::StatusOr<Endpoint> Publish(const std::string& network_id, const std::string& id,
                                           const std::vector<PublishedPort>& ports) = 0;
  // Sets the default routes of a namespace by GatewayOf(endpoints).
  virtual absl::Status Arrange(int netns_fd, const std::vector<Endpoint>& endpoints) = 0;

  // OpenResolverSockets() in a namespace.
  virtual absl::StatusOr<ResolverSockets> OpenResolver(int netns_fd) = 0;

  // Once, before anything else (with nothing on a first start): makes the networks, takes over the
  // endpoints that still live, publishes their ports again, and removes every interface and rule of
  // ours that belongs to none of them. Until then the other methods answer FailedPrecondition.
  virtual absl::Status Recover(const std::vector<NetworkDefinition>& networks,
                               const std::vector<Endpoint>& live) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_
