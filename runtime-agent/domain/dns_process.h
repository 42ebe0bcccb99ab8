#ifndef RUNTIME_AGENT_DOMAIN_DNS_PROCESS_H_
#define RUNTIME_AGENT_DOMAIN_DNS_PROCESS_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/dns/control.h"
#include "runtime-agent/network/resolver_sockets.h"
#include "runtime-agent/supervisor/plan_builder.h"

namespace slipway::agent {

// What slipway-dns (runtime-agent/dns) is told, kept here with the sandboxes' sockets, so that one
// that ended is followed by another that knows everything: what was asked meanwhile waits in the
// sockets. Thread-safe.
class DnsProcess {
 public:
  // Starts a process with that socket as its standard input. May block.
  using Spawn = std::function<absl::Status(UniqueFd control)>;
  explicit DnsProcess(Spawn spawn) : spawn_(std::move(spawn)) {}

  // Starts the process where none runs. `sockets`: of a sandbox that is new.
  void PutSandbox(dns::SandboxRecord record, ResolverSockets sockets) ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasSandbox(const std::string& id) const ABSL_LOCKS_EXCLUDED(mutex_);
  void RemoveSandbox(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  void PutEndpoint(dns::EndpointRecord record) ABSL_LOCKS_EXCLUDED(mutex_);
  // All of a container.
  void RemoveEndpoints(const std::string& container_id) ABSL_LOCKS_EXCLUDED(mutex_);
  void RemoveEndpoint(const std::string& network_id, const std::string& container_id)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // It has ended: another one where there is a sandbox.
  absl::Status Restart() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Sandbox {
    dns::SandboxRecord record;
    ResolverSockets sockets;
  };

  absl::Status Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(const dns::ControlMessage& message, const ResolverSockets* sockets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Spawn spawn_;
  mutable absl::Mutex mutex_;  // also held while one is started: its messages come first
  UniqueFd control_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Sandbox> sandboxes_ ABSL_GUARDED_BY(mutex_);
  // By network and container.
  std::map<std::pair<std::string, std::string>, dns::EndpointRecord> endpoints_
      ABSL_GUARDED_BY(mutex_);
};

struct DnsBindings {
  UniqueFd program;  // a mount of the binary that nothing can write through
  UniqueFd root;     // an empty file system
  UniqueFd control;
  std::string seccomp;  // program
};

// The plan of its process: nobody's, in a file system without files, with bounded memory.
absl::StatusOr<Plan> CompileDnsPlan(DnsBindings bindings);
absl::string_view DnsSeccompProfile();

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_DNS_PROCESS_H_
