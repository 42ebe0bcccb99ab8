#include "runtime-agent/dns/server.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace slipway::dns {
namespace {

constexpr size_t kCacheBytes = 4 << 20;
constexpr size_t kMaxConnections = 512;
constexpr int kMaxConnectionsOfSandbox = 32;
constexpr size_t kMaxBufferedBytes = 128 << 10;
constexpr int64_t kIdleMs = 10000;
constexpr int kMessagesPerTurn = 64;
constexpr int kPacketFds = 2;
constexpr uint32_t kLocalTtlSeconds = 5;

int64_t NowMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

std::string WithLength(const std::string& message) {
  std::string framed(2, '\0');
  Write16(framed, 0, static_cast<uint16_t>(message.size()));
  return framed + message;
}

}  // namespace

Server::Server(int control_fd)
    : control_fd_(control_fd), epoll_(epoll_create1(EPOLL_CLOEXEC)), cache_(kCacheBytes) {
  Watch(control_fd_, EPOLLIN, {.role = Role::kControl});
}

Server::~Server() {
  for (const auto& [fd, watched] : watched_) close(fd);
  close(epoll_);
}

void Server::Watch(int fd, uint32_t events, Watched watched) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST) {
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  }
  watched_[fd] = std::move(watched);
}

void Server::Unwatch(int fd) {
  if (fd < 0 || watched_.erase(fd) == 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  close(fd);
}

int Server::Run() {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), NextTimeoutMs());
    if (count < 0 && errno != EINTR) return 1;
    // First what the agent says: it was said before what now asks was told to.
    ReadControl();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd != control_fd_) Handle(event.data.fd, event.events);
    }
    CheckDeadlines();
  }
}

void Server::Handle(int fd, uint32_t events) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return;  // closed a moment ago
  switch (found->second.role) {
    case Role::kControl:
      return;
    case Role::kUdp:
      return ReadUdp(std::string(found->second.sandbox));
    case Role::kListener:
      return Accept(std::string(found->second.sandbox));
    case Role::kConnection:
      return ReadConnection(fd, events);
    case Role::kUpstream:
      return ReadUpstream(fd, events);
  }
}

void Server::ReadControl() {
  if (!watched_.contains(control_fd_)) return;
  static std::array<char, kMaxControlBytes> buffer;
  while (true) {
    iovec piece = {.iov_base = buffer.data(), .iov_len = buffer.size()};
    alignas(cmsghdr) char ancillary[CMSG_SPACE(kPacketFds * sizeof(int))];
    msghdr header = {};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = ancillary;
    header.msg_controllen = sizeof(ancillary);
    const ssize_t size = recvmsg(control_fd_, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) return;
    if (size == 0) {
      // The agent is gone; the next one takes over the sockets and ends this process.
      epoll_ctl(epoll_, EPOLL_CTL_DEL, control_fd_, nullptr);
      watched_.erase(control_fd_);
      return;
    }
    std::vector<int> fds;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      const size_t bytes = part->cmsg_len - CMSG_LEN(0);
      fds.resize(bytes / sizeof(int));
      memcpy(fds.data(), CMSG_DATA(part), fds.size() * sizeof(int));
    }
    auto message = DecodeControl(std::string_view(buffer.data(), static_cast<size_t>(size)));
    if (message.has_value()) Apply(*std::move(message), fds);
    for (const int fd : fds) close(fd);
  }
}

void Server::Apply(ControlMessage message, std::vector<int>& fds) {
  if (auto* endpoint = std::get_if<EndpointRecord>(&message)) {
    directory_.Put(*endpoint);
  } else if (auto* gone = std::get_if<EndpointGone>(&message)) {
    directory_.Remove(gone->network_id, gone->container_id);
  } else if (auto* sandbox_gone = std::get_if<SandboxGone>(&message)) {
    DropSandbox(sandbox_gone->id);
  } else if (auto* record = std::get_if<SandboxRecord>(&message)) {
    Sandbox& sandbox = sandboxes_[record->id];
    sandbox.upstream_key.clear();
    for (const std::string& upstream : record->upstreams) sandbox.upstream_key += upstream + ' ';
    sandbox.record = std::move(*record);
    if (fds.size() != kPacketFds) return;
    Unwatch(sandbox.udp);
    Unwatch(sandbox.tcp);
    sandbox.udp = fds[0];
    sandbox.tcp = fds[1];
    fds.clear();
    Watch(sandbox.udp, EPOLLIN, {.role = Role::kUdp, .sandbox = sandbox.record.id});
    Watch(sandbox.tcp, EPOLLIN, {.role = Role::kListener, .sandbox = sandbox.record.id});
  }
}

void Server::DropSandbox(const std::string& id) {
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return;
  Unwatch(found->second.udp);
  Unwatch(found->second.tcp);
  sandboxes_.erase(found);
  std::vector<int> closing;
  for (const auto& [fd, connection] : connections_) {
    if (connection.sandbox == id) closing.push_back(fd);
  }
  for (const int fd : closing) CloseConnection(fd);
}

void Server::ReadUdp(const std::string& sandbox_id) {
  std::array<char, kMaxUdpBytes> buffer;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    auto found = sandboxes_.find(sandbox_id);
    if (found == sandboxes_.end()) return;
    Asker asker{.sandbox = sandbox_id};
    socklen_t length = sizeof(asker.address);
    const ssize_t size =
        recvfrom(found->second.udp, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC,
                 reinterpret_cast<sockaddr*>(&asker.address), &length);
    if (size < 0) return;
    if (size > static_cast<ssize_t>(buffer.size())) continue;
    // It may have come after a word of the agent's.
    ReadControl();
    found = sandboxes_.find(sandbox_id);
    if (found == sandboxes_.end()) return;
    Answer(found->second, asker, std::string_view(buffer.data(), static_cast<size_t>(size)));
  }
}

void Server::Accept(const std::string& sandbox_id) {
  const auto found = sandboxes_.find(sandbox_id);
  if (found == sandboxes_.end()) return;
  Sandbox& sandbox = found->second;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const int fd = accept4(sandbox.tcp, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // One that does not listen any more would be an event for ever.
      if (errno == EINVAL) Unwatch(std::exchange(sandbox.tcp, -1));
      return;
    }
    if (connections_.size() >= kMaxConnections || sandbox.connections >= kMaxConnectionsOfSandbox) {
      close(fd);
      continue;
    }
    ++sandbox.connections;
    const uint64_t number = next_number_++;
    connections_[fd] = {
        .fd = fd, .sandbox = sandbox_id, .deadline_ms = NowMs() + kIdleMs, .number = number};
    Watch(fd, EPOLLIN, {.role = Role::kConnection, .sandbox = sandbox_id, .number = number});
  }
}

void Server::CloseConnection(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  const auto sandbox = sandboxes_.find(found->second.sandbox);
  if (sandbox != sandboxes_.end()) --sandbox->second.connections;
  connections_.erase(found);
  Unwatch(fd);
}

void Server::ReadConnection(int fd, uint32_t events) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if ((events & EPOLLOUT) != 0) {
    WriteConnection(found->second);
    if (!connections_.contains(fd)) return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  std::array<char, 16384> buffer;
  const ssize_t size = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return CloseConnection(fd);
  Connection& connection = found->second;
  connection.input.append(buffer.data(), static_cast<size_t>(size));
  connection.deadline_ms = NowMs() + kIdleMs;
  while (true) {
    const auto still = connections_.find(fd);
    if (still == connections_.end()) return;
    std::string& input = still->second.input;
    if (input.size() < 2) return;
    const size_t length = Read16(input, 0);
    if (input.size() < 2 + length) return;
    const std::string request = input.substr(2, length);
    input.erase(0, 2 + length);
    const auto sandbox = sandboxes_.find(still->second.sandbox);
    if (sandbox == sandboxes_.end()) return CloseConnection(fd);
    Answer(
        sandbox->second,
        {.sandbox = still->second.sandbox, .connection = still->second.number, .connection_fd = fd},
        request);
  }
}

void Server::WriteConnection(Connection& connection) {
  const int fd = connection.fd;
  while (!connection.output.empty()) {
    const ssize_t sent =
        send(fd, connection.output.data(), connection.output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return CloseConnection(fd);
    if (sent < 0) break;
    connection.output.erase(0, static_cast<size_t>(sent));
  }
  epoll_event event = {};
  event.events = connection.output.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Server::Reply(const Asker& asker, std::string answer) {
  if (answer.empty()) return;
  if (asker.connection == 0) {
    const auto sandbox = sandboxes_.find(asker.sandbox);
    if (sandbox == sandboxes_.end()) return;
    sendto(sandbox->second.udp, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&asker.address), sizeof(asker.address));
    return;
  }
  const auto found = connections_.find(asker.connection_fd);
  // Another one may have the number of a descriptor by now.
  if (found == connections_.end() || found->second.number != asker.connection) return;
  Connection& connection = found->second;
  if (connection.output.size() > kMaxBufferedBytes) return CloseConnection(asker.connection_fd);
  connection.output += WithLength(answer);
  WriteConnection(connection);
}

void Server::Answer(Sandbox& sandbox, const Asker& asker, std::string_view request) {
  const auto query = ParseQuery(request);
  if (!query.has_value()) return Reply(asker, BuildFormatError(request));
  const bool tcp = asker.connection != 0;
  const auto reply = [&](uint8_t rcode, const std::vector<Record>& records) {
    Reply(asker, BuildAnswer(request, *query, rcode, records, kLocalTtlSeconds, tcp));
  };
  if (query->opcode != 0) return reply(kNotImp, {});
  if (query->klass == kClassIn) {
    const Directory::Result found = directory_.Find(sandbox.record, query->name, query->type);
    if (found.known) return reply(kNoError, found.records);
  }
  if (sandbox.record.upstreams.empty()) return reply(kNxDomain, {});
  Pass(sandbox, asker, *query, request);
}

void Server::CheckDeadlines() {
  const int64_t now = NowMs();
  std::vector<int> idle;
  for (const auto& [fd, connection] : connections_) {
    if (now >= connection.deadline_ms) idle.push_back(fd);
  }
  for (const int fd : idle) CloseConnection(fd);
  std::vector<uint64_t> late;
  for (const auto& [number, forward] : forwards_) {
    if (now >= forward.deadline_ms) late.push_back(number);
  }
  for (const uint64_t number : late) {
    const auto found = forwards_.find(number);
    if (found != forwards_.end()) UpstreamFailed(number, found->second);
  }
}

int Server::NextTimeoutMs() const {
  if (connections_.empty() && forwards_.empty()) return -1;
  int64_t next = NowMs() + kIdleMs;
  for (const auto& [number, forward] : forwards_) next = std::min(next, forward.deadline_ms);
  for (const auto& [fd, connection] : connections_) next = std::min(next, connection.deadline_ms);
  return static_cast<int>(std::max<int64_t>(0, next - NowMs()));
}

}  // namespace slipway::dns
