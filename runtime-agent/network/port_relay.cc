#include "runtime-agent/network/port_relay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/thread.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/port_reservations.h"

namespace slipway::agent {
namespace {

constexpr size_t kBufferBytes = 128 << 10;
constexpr int kAtOnce = 16;  // of one socket, before it is the next one's turn
constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr absl::Duration kSweep = absl::Seconds(10);

std::string KeyOf(const PublishedPort& port) {
  return absl::StrCat(PortProtocolName(port.protocol), "/", port.host_address, "/", port.host_port);
}

bool WouldWait(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

void SetUpStream(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

// Connected, or on its way.
UniqueFd Connect(int type, const sockaddr_in& target) {
  UniqueFd fd(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return fd;
  const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), sizeof(target));
  return result == 0 || errno == EINPROGRESS ? std::move(fd) : UniqueFd();
}

}  // namespace

PortRelay::~PortRelay() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

absl::Status PortRelay::Start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.ok() || !stop.ok()) return ErrnoStatus(errno, "start the relay of published ports");
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) {
    return ErrnoStatus(errno, "start the relay of published ports");
  }
  epoll_ = std::move(epoll);
  stop_ = std::move(stop);
  buffer_ = std::make_unique<char[]>(kBufferBytes);
  thread_ = std::thread([this] {
    NameThread("port-relay");
    Run();
  });
  return absl::OkStatus();
}

absl::Status PortRelay::Add(const PublishedPort& port, UniqueFd socket, uint32_t address) {
  absl::MutexLock lock(&mutex_);
  if (!epoll_.ok()) RETURN_IF_ERROR(Start());
  auto added = std::make_unique<Port>();
  added->key = KeyOf(port);
  added->is_udp = port.protocol == PortProtocol::kUdp;
  added->target = {.sin_family = AF_INET,
                   .sin_port = htons(port.container_port),
                   .sin_addr = {.s_addr = htonl(address)}};
  const int on = 1;
  // Until now it was only held: calls would wait, and few connections would.
  int prepared = ioctl(socket.get(), FIONBIO, &on);
  if (prepared == 0)
    prepared = added->is_udp
                   ? setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
                   : listen(socket.get(), SOMAXCONN);
  const Id id = next_id_++;
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = id}};
  if (prepared != 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
    return ErrnoStatus(errno, absl::StrCat("relay port ", added->key));
  }
  added->socket = std::move(socket);
  keys_[added->key] = id;
  ports_[id] = std::move(added);
  return absl::OkStatus();
}

void PortRelay::Remove(const PublishedPort& port) {
  absl::MutexLock lock(&mutex_);
  const auto key = keys_.find(KeyOf(port));
  if (key == keys_.end()) return;
  const auto found = ports_.find(key->second);
  const std::set<Id> links = found->second->links;
  for (const Id link : links) Close(link);
  // The descriptor is a duplicate: closing it would leave it in the set.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->socket.get(), nullptr);
  ports_.erase(found);
  keys_.erase(key);
}

void PortRelay::Close(Id link_id) {
  const auto found = links_.find(link_id);
  if (found == links_.end()) return;
  Link& link = *found->second;
  Port& port = *ports_.at(link.port);
  port.links.erase(link_id);
  if (port.is_udp) {
    port.clients.erase(std::string(reinterpret_cast<const char*>(&link.peer), sizeof(link.peer)));
  }
  sides_.erase(link.client.id);
  sides_.erase(link.target.id);
  links_.erase(found);
}

void PortRelay::Watch(Side& side, uint32_t interest) {
  if (side.interest == interest) return;
  // One of which nothing is wanted is not in the set: it would tell of its end again and again.
  const int operation = interest == 0        ? EPOLL_CTL_DEL
                        : side.interest == 0 ? EPOLL_CTL_ADD
                                             : EPOLL_CTL_MOD;
  epoll_event event = {.events = interest, .data = {.u64 = side.id}};
  epoll_ctl(epoll_.get(), operation, side.fd.get(), &event);
  side.interest = interest;
}

void PortRelay::Pause(Id id, Port& port) {
  epoll_event event = {.events = 0, .data = {.u64 = id}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, port.socket.get(), &event);
  port.paused = true;
  resume_ = std::min(resume_, absl::Now() + kPause);
}

void PortRelay::Accept(Id id, Port& port) {
  for (int i = 0; i < kAtOnce; ++i) {
    if (links_.size() >= kMaxConnections) return Pause(id, port);
    UniqueFd client(accept4(port.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client.ok()) {
      // For want of descriptors or memory; others are those of one connection.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        Pause(id, port);
      }
      return;
    }
    UniqueFd target = Connect(SOCK_STREAM, port.target);
    if (!target.ok()) continue;
    SetUpStream(client.get());
    SetUpStream(target.get());
    auto link = std::make_unique<Link>();
    link->port = id;
    link->client.fd = std::move(client);
    link->client.id = next_id_++;
    link->target.fd = std::move(target);
    link->target.id = next_id_++;
    const Id link_id = link->client.id;
    sides_[link->client.id] = link_id;
    sides_[link->target.id] = link_id;
    port.links.insert(link_id);
    Watch(link->target, EPOLLOUT);
    links_[link_id] = std::move(link);
  }
}

bool PortRelay::Carry(Side& from, Side& to, bool can_receive) {
  for (int i = 0; i < kAtOnce; ++i) {
    if (!to.unsent.empty()) {
      const ssize_t sent = send(to.fd.get(), to.unsent.data(), to.unsent.size(), MSG_NOSIGNAL);
      if (sent < 0) return WouldWait(errno);
      to.unsent.erase(0, static_cast<size_t>(sent));
      if (!to.unsent.empty()) return true;
    }
    if (from.ended) {
      if (!to.finished) shutdown(to.fd.get(), SHUT_WR);
      to.finished = true;
      return true;
    }
    if (!can_receive) return true;
    const ssize_t received = recv(from.fd.get(), buffer_.get(), kBufferBytes, 0);
    if (received < 0) return WouldWait(errno);
    from.ended = received == 0;
    if (received == 0) continue;
    const ssize_t sent =
        send(to.fd.get(), buffer_.get(), static_cast<size_t>(received), MSG_NOSIGNAL);
    if (sent < 0 && !WouldWait(errno)) return false;
    const auto taken = static_cast<size_t>(std::max<ssize_t>(sent, 0));
    to.unsent.assign(buffer_.get() + taken, static_cast<size_t>(received) - taken);
  }
  return true;
}

void PortRelay::Pump(Id id, Link& link) {
  if (!link.connected) {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(link.target.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Close(id);
    link.connected = true;
  }
  if (!Carry(link.client, link.target, true) || !Carry(link.target, link.client, true) ||
      (link.client.finished && link.target.finished)) {
    return Close(id);
  }
  const auto interest = [](const Side& side, const Side& other) -> uint32_t {
    return (!side.ended && other.unsent.empty() ? EPOLLIN : 0u) |
           (side.unsent.empty() ? 0u : EPOLLOUT);
  };
  Watch(link.client, interest(link.client, link.target));
  Watch(link.target, interest(link.target, link.client));
}

PortRelay::Link* PortRelay::ClientOf(Id id, Port& port, const sockaddr_in6& peer,
                                     const in6_pktinfo& local) {
  const std::string key(reinterpret_cast<const char*>(&peer), sizeof(peer));
  const auto known = port.clients.find(key);
  if (known != port.clients.end()) return links_.at(known->second).get();
  if (port.clients.size() >= kMaxClients) return nullptr;
  auto link = std::make_unique<Link>();
  link->target.fd = Connect(SOCK_DGRAM, port.target);
  if (!link->target.fd.ok()) return nullptr;
  const Id link_id = next_id_++;
  link->port = id;
  link->target.id = link_id;
  link->peer = peer;
  link->local = local;
  sides_[link_id] = link_id;
  port.links.insert(link_id);
  port.clients[key] = link_id;
  Watch(link->target, EPOLLIN);
  sweep_ = std::min(sweep_, absl::Now() + kSweep);
  return (links_[link_id] = std::move(link)).get();
}

void PortRelay::TakeDatagrams(Id id, Port& port) {
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_in6 peer = {};
    alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
    iovec piece = {.iov_base = buffer_.get(), .iov_len = kBufferBytes};
    msghdr header = {.msg_name = &peer,
                     .msg_namelen = sizeof(peer),
                     .msg_iov = &piece,
                     .msg_iovlen = 1,
                     .msg_control = ancillary,
                     .msg_controllen = sizeof(ancillary),
                     .msg_flags = 0};
    const ssize_t received = recvmsg(port.socket.get(), &header, MSG_DONTWAIT);
    if (received < 0) return;
    in6_pktinfo local = {};
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
      if (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_PKTINFO) continue;
      memcpy(&local, CMSG_DATA(part), sizeof(local));
    }
    Link* link = ClientOf(id, port, peer, local);
    if (link == nullptr) continue;
    link->used = absl::Now();
    // As of any datagram, nobody waits for one that does not get through.
    (void)send(link->target.fd.get(), buffer_.get(), static_cast<size_t>(received), MSG_DONTWAIT);
  }
}

void PortRelay::ReturnDatagrams(Link& link) {
  const int out = ports_.at(link.port)->socket.get();
  for (int i = 0; i < kAtOnce; ++i) {
    const ssize_t received = recv(link.target.fd.get(), buffer_.get(), kBufferBytes, MSG_DONTWAIT);
    if (received < 0) return;
    link.used = absl::Now();
    alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
    iovec piece = {.iov_base = buffer_.get(), .iov_len = static_cast<size_t>(received)};
    msghdr header = {.msg_name = &link.peer,
                     .msg_namelen = sizeof(link.peer),
                     .msg_iov = &piece,
                     .msg_iovlen = 1,
                     .msg_control = ancillary,
                     .msg_controllen = sizeof(ancillary),
                     .msg_flags = 0};
    // From the address that was asked.
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
    memcpy(CMSG_DATA(part), &link.local, sizeof(link.local));
    (void)sendmsg(out, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void PortRelay::Handle(Id id, uint32_t events) {
  const auto port = ports_.find(id);
  if (port != ports_.end()) {
    if (port->second->is_udp) {
      TakeDatagrams(id, *port->second);
    } else if ((events & EPOLLIN) != 0) {
      Accept(id, *port->second);
    }
    return;
  }
  // Told of before it was closed, in the same batch.
  const auto side = sides_.find(id);
  if (side == sides_.end()) return;
  Link& link = *links_.at(side->second);
  if (link.client.fd.ok()) {
    Pump(side->second, link);
  } else {
    ReturnDatagrams(link);
  }
}

// What time brings; until when there is nothing of that kind.
absl::Duration PortRelay::Sweep() {
  const absl::Time now = absl::Now();
  if (now >= resume_) {
    resume_ = absl::InfiniteFuture();
    for (const auto& [id, port] : ports_) {
      if (!port->paused) continue;
      port->paused = false;
      epoll_event event = {.events = EPOLLIN, .data = {.u64 = id}};
      epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, port->socket.get(), &event);
    }
  }
  if (now >= sweep_) {
    std::vector<Id> idle;
    bool any = false;
    for (const auto& [id, link] : links_) {
      if (link->client.fd.ok()) continue;
      any = true;
      if (now - link->used > kClientIdle) idle.push_back(id);
    }
    for (const Id id : idle) Close(id);
    sweep_ = any ? now + kSweep : absl::InfiniteFuture();
  }
  return std::min(resume_, sweep_) - now;
}

void PortRelay::Run() {
  std::array<epoll_event, 64> events;
  while (true) {
    int timeout_ms = -1;
    {
      absl::MutexLock lock(&mutex_);
      const absl::Duration left = Sweep();
      if (left < absl::Hours(1)) timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    }
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms);
    absl::MutexLock lock(&mutex_);
    for (int i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].data.u64 == 0) return;
      Handle(events[static_cast<size_t>(i)].data.u64, events[static_cast<size_t>(i)].events);
    }
  }
}

}  // namespace slipway::agent
