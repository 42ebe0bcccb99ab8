#ifndef RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_
#define RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/network/network_namespace.h"

namespace slipway::agent {

enum class PortProtocol { kTcp, kUdp, kSctp };

struct PublishedPort {
  uint16_t container_port = 0;
  PortProtocol protocol = PortProtocol::kTcp;
  std::string host_address;  // IPv4; empty: every address
  uint16_t host_port = 0;    // zero in a request: any free port

  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

struct EndpointRequest {
  std::string id;           // of the sandbox; unique among the network's endpoints
  std::string address;      // IPv4; empty: any free one
  std::string mac_address;  // empty: made from the address
  std::vector<PublishedPort> ports;
};

// One sandbox's connection. What the agent saves to call Recover with after a restart.
struct Endpoint {
  std::string id;
  std::string address;  // "172.29.0.2"
  uint32_t prefix_length = 0;
  std::string gateway;
  std::string mac_address;           // "02:42:ac:1d:00:02"
  std::string host_interface;        // the end of the veth pair that stays on the host
  std::vector<PublishedPort> ports;  // host ports filled in
};

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

// The default bridge network of a host. Thread-safe.
class NetworkDriver {
 public:
  virtual ~NetworkDriver() = default;

  // A namespace with only `lo` (network "none"), from the pool where one is ready.
  virtual absl::StatusOr<NetworkNamespace> CreateIsolatedNamespace() = 0;

  // A namespace with `eth0` connected, from the pool where one is ready: the fast path of Connect.
  // AlreadyExists when the id is connected; other errors as Connect.
  virtual absl::StatusOr<ConnectedNamespace> CreateConnectedNamespace(
      const EndpointRequest& request) = 0;

  // Adds `eth0`, address, default route and published ports. The same id again gives the endpoint
  // that is there (AlreadyExists when the request differs from it).
  // ResourceExhausted: no address is left. InvalidArgument: an address outside the subnet.
  // AlreadyExists with Docker's words, "Bind for 0.0.0.0:8080 failed: port is already allocated"
  // (another container has it), or "... bind: address already in use" (a process of the host has
  // it).
  virtual absl::StatusOr<EndpointLease> Connect(const EndpointRequest& request, int netns_fd) = 0;

  // OK when there is none. The namespace itself is not touched but for its eth0.
  virtual absl::Status Disconnect(const std::string& id) = 0;

  // Once, before anything else (with nothing on a first start): takes over the endpoints that still
  // live, publishes their ports again, and removes every interface and rule of ours that belongs to
  // none of them. Until then the other methods answer FailedPrecondition.
  virtual absl::Status Recover(const std::vector<Endpoint>& live) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NETWORK_DRIVER_H_
