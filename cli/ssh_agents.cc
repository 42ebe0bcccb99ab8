#include "cli/ssh_agents.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"

namespace slipway::cli {
namespace {

constexpr size_t kPieceBytes = 32 << 10;

absl::StatusOr<UniqueFd> Connect(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path is longer than 107 bytes: ", path));
  }
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.ok() ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("connect to ", path, ": ", strerror(errno)));
  }
  return fd;
}

build::v1::AgentBytes EndOf(uint32_t number) {
  build::v1::AgentBytes bytes;
  bytes.set_connection(number);
  bytes.set_end(true);
  return bytes;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseSshAgents(
    const std::vector<std::string>& options) {
  std::map<std::string, std::string> sockets;
  for (const std::string& option : options) {
    const size_t equals = option.find('=');
    const std::string id = option.substr(0, equals);
    std::string path = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (id.empty()) return absl::InvalidArgumentError("--ssh needs an id: default or id=SOCKET");
    if (path.empty()) {
      const char* own = std::getenv("SSH_AUTH_SOCK");
      if (own == nullptr || *own == '\0') {
        return absl::NotFoundError(
            absl::StrCat("--ssh ", id, ": SSH_AUTH_SOCK names no agent; say ", id, "=SOCKET"));
      }
      path = own;
    }
    struct stat st;
    if (stat(path.c_str(), &st) != 0) {
      return absl::NotFoundError(absl::StrCat("--ssh ", id, ": ", path, ": ", strerror(errno)));
    }
    if (!S_ISSOCK(st.st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--ssh ", id, ": ", path, " is no socket: give keys to an agent (ssh-add) and name it"));
    }
    sockets[id] = std::move(path);
  }
  return sockets;
}

SshConnections::~SshConnections() {
  std::map<uint32_t, Connection> all;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    all.swap(connections_);
  }
  for (auto& [number, connection] : all) {
    shutdown(connection.fd->get(), SHUT_RDWR);
    connection.reader.join();
  }
}

void SshConnections::Open(const build::v1::AgentBytes& bytes) {
  const uint32_t number = bytes.connection();
  const auto socket = sockets_.find(bytes.agent());
  absl::StatusOr<UniqueFd> fd =
      socket == sockets_.end() ? absl::NotFoundError("no such agent") : Connect(socket->second);
  if (!fd.ok()) {
    send_(EndOf(number));
    return;
  }
  auto shared = std::make_shared<UniqueFd>(*std::move(fd));
  const std::lock_guard<std::mutex> lock(mu_);
  connections_[number] = {shared, std::thread([this, number, shared] { Read(number, shared); })};
}

void SshConnections::Read(uint32_t number, const std::shared_ptr<UniqueFd>& fd) {
  char piece[kPieceBytes];
  while (true) {
    const ssize_t count = recv(fd->get(), piece, sizeof(piece), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    build::v1::AgentBytes bytes;
    bytes.set_connection(number);
    bytes.set_data(piece, static_cast<size_t>(count));
    send_(std::move(bytes));
  }
  send_(EndOf(number));
}

void SshConnections::Take(const build::v1::AgentBytes& bytes) {
  if (!bytes.agent().empty()) Open(bytes);
  Connection over;
  std::shared_ptr<UniqueFd> fd;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const auto found = connections_.find(bytes.connection());
    if (found == connections_.end()) return;
    fd = found->second.fd;
    if (bytes.end()) {
      over = std::move(found->second);
      connections_.erase(found);
    }
  }
  // An agent that is gone is noticed by who reads.
  if (!bytes.data().empty()) (void)WriteAll(fd->get(), bytes.data(), "an SSH agent");
  if (!over.reader.joinable()) return;
  shutdown(fd->get(), SHUT_RDWR);
  over.reader.join();
}

}  // namespace slipway::cli
