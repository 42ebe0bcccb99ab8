#include "base/os/descriptor_door.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway {
namespace {

constexpr size_t kTokenBytes = 16;
constexpr int kBacklog = 64;
constexpr time_t kPeerSeconds = 1;    // that one giver may keep the others waiting
constexpr time_t kAnswerSeconds = 5;  // that a giver waits

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path is longer than 107 bytes: ", path));
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

void SetTimeout(int socket, time_t seconds) {
  const timeval timeout = {.tv_sec = seconds, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

bool IsTrusted(int connection) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == 0 || peer.uid == geteuid());
}

// The one descriptor of a packet of one byte; none for anything else.
UniqueFd ReceiveDescriptor(int connection) {
  char byte = 0;
  iovec vector = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t count = 0;
  do {
    count = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  UniqueFd fd;
  const cmsghdr* header = count == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int received = -1;
    memcpy(&received, CMSG_DATA(header), sizeof(received));
    fd.reset(received);
  }
  return fd;
}

absl::Status SendDescriptor(int connection, int fd, const std::string& path) {
  char byte = 0;
  iovec vector = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  ssize_t count = 0;
  do {
    count = sendmsg(connection, &message, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count == 1
             ? absl::OkStatus()
             : absl::UnavailableError(absl::StrCat("give a file to ", path, ": ", strerror(errno)));
}

}  // namespace

std::string DescriptorDoorPath(absl::string_view service_socket) {
  absl::ConsumePrefix(&service_socket, "unix:");
  return absl::StrCat(absl::StripSuffix(service_socket, ".sock"), "-files.sock");
}

absl::StatusOr<std::unique_ptr<DescriptorDoor>> DescriptorDoor::Listen(const std::string& path,
                                                                       absl::Duration kept_for) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!listener.ok() || !stop.ok()) return ErrnoStatus(errno, "make a socket for files");
  unlink(path.c_str());
  // The file's mode is that of the socket at the time of bind, so it is never open to others.
  if (fchmod(listener.get(), 0600) != 0 ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listen on ", path));
  }
  return std::unique_ptr<DescriptorDoor>(
      new DescriptorDoor(path, kept_for, std::move(listener), std::move(stop)));
}

DescriptorDoor::DescriptorDoor(std::string path, absl::Duration kept_for, UniqueFd listener,
                               UniqueFd stop)
    : path_(std::move(path)),
      kept_for_(kept_for),
      listener_(std::move(listener)),
      stop_(std::move(stop)),
      thread_([this] { Serve(); }) {}

DescriptorDoor::~DescriptorDoor() {
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void DescriptorDoor::Serve() {
  while (true) {
    const absl::Duration left = DropExpired();
    const int timeout_ms = left == absl::InfiniteDuration()
                               ? -1
                               : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    pollfd polled[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(polled, 2, timeout_ms) <= 0) continue;
    if (polled[1].revents != 0) return;
    if (polled[0].revents == 0) continue;
    const UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.ok()) {
      // Out of descriptors: waits, since poll would come back at once.
      if (errno == EMFILE || errno == ENFILE) poll(&polled[1], 1, 100);
      continue;
    }
    if (IsTrusted(connection.get())) ServeOne(connection.get());
  }
}

absl::Duration DescriptorDoor::DropExpired() {
  std::deque<Waiting> expired;  // closed without the lock
  absl::MutexLock lock(&mu_);
  const absl::Time now = absl::Now();
  while (!waiting_.empty() && waiting_.front().until <= now) {
    expired.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return waiting_.empty() ? absl::InfiniteDuration() : waiting_.front().until - now;
}

void DescriptorDoor::ServeOne(int connection) {
  SetTimeout(connection, kPeerSeconds);
  UniqueFd fd = ReceiveDescriptor(connection);
  std::string token(kTokenBytes, '\0');
  if (!fd.ok() || getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) {
    return;
  }
  Waiting oldest;
  {
    absl::MutexLock lock(&mu_);
    if (waiting_.size() >= kMaxWaiting) {
      oldest = std::move(waiting_.front());
      waiting_.pop_front();
    }
    waiting_.push_back({token, std::move(fd), absl::Now() + kept_for_});
  }
  // One whose giver is gone is never asked for, and goes when its time is over.
  (void)!send(connection, token.data(), token.size(), MSG_NOSIGNAL);
}

absl::StatusOr<UniqueFd> DescriptorDoor::Take(absl::string_view token) {
  absl::MutexLock lock(&mu_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [token](const Waiting& entry) { return entry.token == token; });
  if (found == waiting_.end()) return absl::NotFoundError("no file was given for this token");
  UniqueFd fd = std::move(found->fd);
  waiting_.erase(found);
  return fd;
}

absl::StatusOr<std::string> GiveDescriptor(const std::string& path, int fd) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  const UniqueFd connection(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!connection.ok()) return ErrnoStatus(errno, "make a socket for a file");
  SetTimeout(connection.get(), kAnswerSeconds);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    return absl::UnavailableError(absl::StrCat("connect to ", path, ": ", strerror(errno)));
  }
  RETURN_IF_ERROR(SendDescriptor(connection.get(), fd, path));
  std::string token(kTokenBytes, '\0');
  ssize_t count = 0;
  do {
    count = recv(connection.get(), token.data(), token.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count != static_cast<ssize_t>(kTokenBytes)) {
    return absl::UnavailableError(absl::StrCat(path, " does not take the file"));
  }
  return token;
}

}  // namespace slipway
