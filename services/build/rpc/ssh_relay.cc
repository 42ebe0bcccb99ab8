#include "services/build/rpc/ssh_relay.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr size_t kPieceBytes = 32 << 10;
constexpr int kBacklog = 16;

}  // namespace

class SshRelay::ListeningSocket : public SshAgents::Socket {
 public:
  ListeningSocket(SshRelay& relay, std::string id, UniqueFd listener, UniqueFd wake,
                  std::string path)
      : relay_(relay),
        id_(std::move(id)),
        listener_(std::move(listener)),
        wake_(std::move(wake)),
        path_(std::move(path)),
        thread_([this] { Serve(); }) {}

  ~ListeningSocket() override {
    {
      absl::MutexLock lock(&mu_);
      stop_ = true;
    }
    Wake();
    thread_.join();
    unlink(path_.c_str());
  }

  // From the client, of one of this socket's connections; in a thread of the call's.
  void Take(v1::AgentBytes bytes) {
    {
      absl::MutexLock lock(&mu_);
      Incoming& incoming = incoming_[bytes.connection()];
      incoming.data += bytes.data();
      incoming.end = incoming.end || bytes.end();
      incoming.too_much = incoming.too_much || incoming.data.size() > kMaxWaiting;
      if (incoming.too_much) incoming.data.clear();
    }
    Wake();
  }

 private:
  struct Incoming {
    std::string data;
    bool end = false;
    bool too_much = false;
  };
  struct Connection {
    uint32_t number = 0;
    UniqueFd fd;
    std::string waiting;  // for the step to take
    bool client_ended = false;
  };

  void Wake() {
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof(one));
  }

  void Serve() {
    while (TakeIncoming()) {
      std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      if (connections_.size() >= kMaxConnections) polled[1].fd = -1;
      for (const Connection& connection : connections_) {
        const short wants = connection.waiting.empty() ? POLLIN : POLLIN | POLLOUT;
        polled.push_back({connection.fd.get(), wants, 0});
      }
      if (poll(polled.data(), polled.size(), -1) < 0) continue;
      uint64_t count = 0;
      if (polled[0].revents != 0) (void)!read(wake_.get(), &count, sizeof(count));
      const size_t known = connections_.size();
      std::vector<uint32_t> over;
      for (size_t i = 0; i < known; ++i) {
        if (!Advance(connections_[i], polled[i + 2].revents))
          over.push_back(connections_[i].number);
      }
      if (polled[1].revents != 0) Accept();
      for (const uint32_t number : over) End(number);
    }
    while (!connections_.empty()) End(connections_[0].number);
  }

  // False when the socket is to end.
  bool TakeIncoming() {
    std::map<uint32_t, Incoming> taken;
    {
      absl::MutexLock lock(&mu_);
      if (stop_) return false;
      taken.swap(incoming_);
    }
    std::vector<uint32_t> over;
    for (auto& [number, incoming] : taken) {
      for (Connection& connection : connections_) {
        if (connection.number != number) continue;
        connection.waiting += incoming.data;
        connection.client_ended = connection.client_ended || incoming.end;
        const bool done = connection.client_ended && connection.waiting.empty();
        const bool too_much = incoming.too_much || connection.waiting.size() > kMaxWaiting;
        if (done || too_much) over.push_back(number);
      }
    }
    for (const uint32_t number : over) End(number);
    return true;
  }

  void Accept() {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.ok()) return;
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.number = relay_.Register(this);
    v1::AgentBytes opened;
    opened.set_connection(connection.number);
    opened.set_agent(id_);
    relay_.send_(std::move(opened));
  }

  // False when the connection is over.
  bool Advance(Connection& connection, short events) {
    if ((events & POLLOUT) != 0) {
      const ssize_t count = send(connection.fd.get(), connection.waiting.data(),
                                 connection.waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (count > 0) connection.waiting.erase(0, static_cast<size_t>(count));
      if (connection.waiting.empty() && connection.client_ended) return false;
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return true;
    char piece[kPieceBytes];
    const ssize_t count = recv(connection.fd.get(), piece, sizeof(piece), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    v1::AgentBytes bytes;
    bytes.set_connection(connection.number);
    bytes.set_data(piece, static_cast<size_t>(count));
    relay_.send_(std::move(bytes));
    return true;
  }

  void End(uint32_t number) {
    const auto found = std::find_if(
        connections_.begin(), connections_.end(),
        [number](const Connection& connection) { return connection.number == number; });
    if (found == connections_.end()) return;
    relay_.Forget(number);
    if (!found->client_ended) {
      v1::AgentBytes ended;
      ended.set_connection(number);
      ended.set_end(true);
      relay_.send_(std::move(ended));
    }
    connections_.erase(found);
  }

  SshRelay& relay_;
  const std::string id_;
  const UniqueFd listener_;
  const UniqueFd wake_;  // an eventfd
  const std::string path_;
  std::vector<Connection> connections_;  // the thread's
  absl::Mutex mu_;
  std::map<uint32_t, Incoming> incoming_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<SshAgents::Socket>> SshRelay::Listen(const std::string& id,
                                                                    const std::string& path,
                                                                    mode_t mode) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path is longer than 107 bytes: ", path));
  }
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!listener.ok() || !wake.ok()) return ErrnoStatus(errno, "make a socket for an SSH agent");
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), mode) != 0 || listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listen on ", path));
  }
  return std::unique_ptr<Socket>(
      new ListeningSocket(*this, id, std::move(listener), std::move(wake), path));
}

uint32_t SshRelay::Register(ListeningSocket* socket) {
  absl::MutexLock lock(&mu_);
  connections_.emplace(++last_connection_, socket);
  return last_connection_;
}

void SshRelay::Forget(uint32_t connection) {
  absl::MutexLock lock(&mu_);
  connections_.erase(connection);
}

void SshRelay::Take(v1::AgentBytes bytes) {
  // With the lock, so that the socket is not destroyed meanwhile: that forgets its connections
  // first.
  absl::MutexLock lock(&mu_);
  const auto found = connections_.find(bytes.connection());
  if (found != connections_.end()) found->second->Take(std::move(bytes));
}

}  // namespace slipway::build
