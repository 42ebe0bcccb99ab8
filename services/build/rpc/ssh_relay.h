#ifndef SERVICES_BUILD_RPC_SSH_RELAY_H_
#define SERVICES_BUILD_RPC_SSH_RELAY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "services/build/ports/ssh_agents.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::build {

// Connections of RUN steps to SSH agents of the client's, which go through the build's call. Each
// socket has a thread while its step runs. Thread-safe.
class SshRelay : public SshAgents {
 public:
  static constexpr size_t kMaxConnections = 64;      // of one socket
  static constexpr size_t kMaxWaiting = 1 << 20;     // bytes that a step does not take
  using Send = std::function<void(v1::AgentBytes)>;  // to the client; may block

  SshRelay(std::set<std::string> ids, Send send) : ids_(std::move(ids)), send_(std::move(send)) {}

  bool Has(const std::string& id) const override { return ids_.contains(id); }
  // At most 107 bytes of path.
  absl::StatusOr<std::unique_ptr<Socket>> Listen(const std::string& id, const std::string& path,
                                                 mode_t mode) override;

  // What came from the client; of a connection that is over, nothing.
  void Take(v1::AgentBytes bytes);

 private:
  class ListeningSocket;

  // Adds a connection of the socket's; its number.
  uint32_t Register(ListeningSocket* socket);
  void Forget(uint32_t connection);

  const std::set<std::string> ids_;
  const Send send_;
  absl::Mutex mu_;
  std::map<uint32_t, ListeningSocket*> connections_ ABSL_GUARDED_BY(mu_);
  uint32_t last_connection_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_RPC_SSH_RELAY_H_
