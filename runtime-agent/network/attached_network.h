#ifndef RUNTIME_AGENT_NETWORK_ATTACHED_NETWORK_H_
#define RUNTIME_AGENT_NETWORK_ATTACHED_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/firewall_rules.h"
#include "runtime-agent/network/links.h"
#include "runtime-agent/network/network_definition.h"
#include "runtime-agent/network/network_driver.h"
#include "runtime-agent/network/network_namespace.h"

namespace slipway::agent {

// One end on the host (of a bridge), the other configured in a namespace.
struct Wire {
  uint32_t address = 0;
  std::optional<Address6> address6;
  MacAddress mac = {};
  std::string host_interface;  // empty: there is none
  std::string interface;       // inside
};

absl::StatusOr<MacAddress> ParseMac(const std::string& text);
std::string FormatMac(const MacAddress& mac);

// Whether interfaces are named so that are made for networks and containers, of any network.
bool IsNameOfOurs(const std::string& prefix, absl::string_view name);

// Interfaces of the network's own on this host are marked with this (ip-link(8), alias).
std::string AliasOf(const std::string& prefix, const std::string& network_id);

// One network on this host: its bridge (or parent interface), its addresses, and the wires to its
// containers. A bridge of Linux has at most 1,023 ports: what is more goes to further bridges, each
// on a cable to the first. Works in the network namespace of the calling thread. Thread-safe.
class AttachedNetwork {
 public:
  // `visitor` outlives it.
  AttachedNetwork(CompiledNetwork compiled, std::string prefix, size_t ports_per_bridge,
                  NamespaceVisitor* visitor);

  const CompiledNetwork& compiled() const { return compiled_; }
  const std::string& id() const { return compiled_.definition.id; }
  bool is_bridge() const { return compiled_.kind == NetworkKind::kBridge; }

  // Idempotent; done again by MakeWire() where it has failed before. FailedPrecondition, in
  // Docker's words, when what has its bridge's name is no bridge: nothing of it was touched.
  absl::Status Make() ABSL_LOCKS_EXCLUDED(mutex_);
  // What somebody else had made stays, without the addresses that were added to it.
  absl::Status Remove() ABSL_LOCKS_EXCLUDED(mutex_);

  FirewallNetwork firewall() const;
  // Nothing where the network is not guarded.
  std::vector<FirewallElement> GuardsOf(const Wire& wire) const;

  // Errors as NetworkDriver::Connect says.
  absl::StatusOr<Wire> MakeWire(const EndpointRequest& request, int netns_fd)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // `netns_fd`: of a namespace that goes on; -1: the interface goes with its namespace, but for
  // what is on the host. OK when there is none.
  absl::Status DeleteWire(const Wire& wire, int netns_fd);
  Endpoint EndpointOf(const EndpointRequest& request, const Wire& wire) const;
  static absl::StatusOr<Wire> WireOf(const Endpoint& endpoint);

  // The addresses of a wire that an earlier process made.
  absl::Status TakeOver(const std::string& sandbox_id, const Wire& wire)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The one that a sandbox gets again where it is free; none where it had none, or another has it.
  std::optional<uint32_t> LastAddressOf(const std::string& sandbox_id) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  void ForgetAddressOf(const std::string& sandbox_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Deletes the ends on the host that are not among `live`.
  absl::Status ReapPorts(const std::set<std::string>& live) ABSL_LOCKS_EXCLUDED(mutex_);

  // Its addresses are as good as free: who wants one waits for EndRelease().
  void BeginRelease() ABSL_LOCKS_EXCLUDED(mutex_);
  // Of one that could not be deleted the addresses stay taken.
  void EndRelease(const Wire& wire, bool deleted) ABSL_LOCKS_EXCLUDED(mutex_);
  bool has_free_address() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Bridge {
    std::string name;
    int index = 0;
    size_t ports = 0;
  };

  absl::Status MakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeBridge(NetlinkSocket& socket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddGateways(NetlinkSocket& socket, int index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeGatewaysOff(NetlinkSocket& socket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeParent(NetlinkSocket& socket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string ExtraName(char kind, size_t number) const;
  absl::StatusOr<Bridge> AddExtraBridge(NetlinkSocket& socket)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A bridge with room for the port, counted already.
  absl::StatusOr<Bridge> TakePort(NetlinkSocket& socket, const std::string& port)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Who an address is remembered for; empty: nobody.
  std::string OwnerOf(const std::string& sandbox_id) const;
  absl::Status ReserveAddresses(const EndpointRequest& request, Wire& wire)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void ReleaseAddresses(const Wire& wire) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddOutside(const Wire& wire, int netns_fd);
  absl::Status Configure(const EndpointRequest& request, const Wire& wire) const;

  const CompiledNetwork compiled_;
  const std::string prefix_;
  const size_t ports_per_bridge_;
  NamespaceVisitor* const visitor_;

  mutable absl::Mutex mutex_;
  AddressPool addresses_ ABSL_GUARDED_BY(mutex_);
  std::set<Address6> addresses6_ ABSL_GUARDED_BY(mutex_);  // in use
  size_t releasing_ ABSL_GUARDED_BY(mutex_) = 0;
  bool made_ ABSL_GUARDED_BY(mutex_) = false;
  // The bridge was there before: somebody else's.
  bool borrowed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Bridge> bridges_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> bridge_of_ ABSL_GUARDED_BY(mutex_);  // by the host's end
  int parent_index_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_ATTACHED_NETWORK_H_
