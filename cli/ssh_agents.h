#ifndef CLI_SSH_AGENTS_H_
#define CLI_SSH_AGENTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::cli {

// Sockets of SSH agents by ids, of "default" (that of SSH_AUTH_SOCK) and "id=path".
// InvalidArgument, NotFound.
absl::StatusOr<std::map<std::string, std::string>> ParseSshAgents(
    const std::vector<std::string>& options);

// Connections of a build's steps to this client's agents. Thread-safe.
class SshConnections {
 public:
  // To the build service; may block.
  using Send = std::function<void(build::v1::AgentBytes)>;

  SshConnections(std::map<std::string, std::string> sockets, Send send)
      : sockets_(std::move(sockets)), send_(std::move(send)) {}
  // Ends what is open.
  ~SshConnections();

  void Take(const build::v1::AgentBytes& bytes);

 private:
  struct Connection {
    std::shared_ptr<UniqueFd> fd;
    std::thread reader;
  };

  void Open(const build::v1::AgentBytes& bytes);
  void Read(uint32_t number, const std::shared_ptr<UniqueFd>& fd);

  const std::map<std::string, std::string> sockets_;
  const Send send_;
  std::mutex mu_;
  std::map<uint32_t, Connection> connections_;
};

}  // namespace slipway::cli

#endif  // CLI_SSH_AGENTS_H_
