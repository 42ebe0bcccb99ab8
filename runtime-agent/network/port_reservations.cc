#include "runtime-agent/network/port_reservations.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/address_pool.h"
#include "runtime-agent/network/ipv6.h"

namespace slipway::agent {
namespace {

// Canonical, so that it can be compared.
absl::StatusOr<std::string> HostAddress(const PublishedPort& port) {
  if (port.host_address.empty()) return "0.0.0.0";
  if (absl::StrContains(port.host_address, ':')) {
    ASSIGN_OR_RETURN(const Address6 address, ParseIpv6(port.host_address));
    return FormatIpv6(address);
  }
  ASSIGN_OR_RETURN(const uint32_t address, ParseIpv4(port.host_address));
  return FormatIpv4(address);
}

bool IsIpv6(const std::string& address) { return absl::StrContains(address, ':'); }
bool IsAny(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

std::string Printable(const PublishedPort& port) {
  if (port.host_address.empty()) return absl::StrCat("0.0.0.0:", port.host_port);
  if (IsIpv6(port.host_address)) return absl::StrCat("[", port.host_address, "]:", port.host_port);
  return absl::StrCat(port.host_address, ":", port.host_port);
}

socklen_t FillAddress(const std::string& address, uint16_t port, sockaddr_storage& out) {
  if (IsIpv6(address)) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr);
    return sizeof(sockaddr_in6);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &v4->sin_addr);
  return sizeof(sockaddr_in);
}

// A socket that has the port; no socket where the kernel lacks the protocol (then no process has it
// either).
absl::StatusOr<UniqueFd> Hold(const PublishedPort& port, const std::string& address,
                              uint16_t& bound_port) {
  bool stream = port.protocol != PortProtocol::kUdp;
  const bool v6 = IsIpv6(address);
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
                     PortProtocolNumber(port.protocol)));
  if (!fd.ok()) {
    if (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT) return UniqueFd();
    return ErrnoStatus(errno, absl::StrCat("open a socket for port ", Printable(port)));
  }
  int on = 1;
  if (v6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (stream) {
    // Connections of an earlier container that linger in TIME_WAIT do not count.
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  sockaddr_storage local = {};
  socklen_t length = FillAddress(address, port.host_port, local);
  // Listening is what refuses others that also set SO_REUSEADDR.
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&local), length) != 0 ||
      (stream && listen(fd.get(), 0) != 0)) {
    int error = errno;
    std::string what = absl::StrCat("listen ", PortProtocolName(port.protocol), v6 ? "6 " : "4 ",
                                    Printable(port), ": bind: ");
    if (error == EADDRINUSE) {
      return absl::AlreadyExistsError(absl::StrCat(what, "address already in use"));
    }
    if (error == EADDRNOTAVAIL) {
      return absl::InvalidArgumentError(absl::StrCat(what, "cannot assign requested address"));
    }
    return ErrnoStatus(error, what);
  }
  length = sizeof(local);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    return ErrnoStatus(errno, "name of a socket");
  }
  // At the same place in both.
  bound_port = ntohs(reinterpret_cast<sockaddr_in*>(&local)->sin_port);
  return fd;
}

}  // namespace

bool HostHasIpv6() {
  const UniqueFd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  return fd.ok() && bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

const char* PortProtocolName(PortProtocol protocol) {
  switch (protocol) {
    case PortProtocol::kTcp:
      return "tcp";
    case PortProtocol::kUdp:
      return "udp";
    case PortProtocol::kSctp:
      return "sctp";
  }
  return "?";
}

uint8_t PortProtocolNumber(PortProtocol protocol) {
  switch (protocol) {
    case PortProtocol::kTcp:
      return IPPROTO_TCP;
    case PortProtocol::kUdp:
      return IPPROTO_UDP;
    case PortProtocol::kSctp:
      return IPPROTO_SCTP;
  }
  return 0;
}

absl::Status PortReservations::CheckFree(const PublishedPort& port, const std::string& address) {
  auto it = holders_.find(Key(port.protocol, port.host_port));
  if (it == holders_.end()) return absl::OkStatus();
  for (const Holder& holder : it->second) {
    if (IsIpv6(holder.address) != IsIpv6(address)) continue;
    if (IsAny(holder.address) || IsAny(address) || holder.address == address) {
      return absl::AlreadyExistsError(
          absl::StrCat("Bind for ", Printable(port), " failed: port is already allocated"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PublishedPort> PortReservations::ReserveOne(const PublishedPort& port,
                                                           const std::string& address) {
  PublishedPort result = port;
  result.host_port_last = 0;
  if (port.host_port != 0) RETURN_IF_ERROR(CheckFree(port, address));
  ASSIGN_OR_RETURN(UniqueFd socket, Hold(port, address, result.host_port));
  if (result.host_port == 0) {
    // No socket to ask: the dynamic ports of RFC 6335 in turn.
    for (uint32_t candidate = 49152; candidate < 65536 && result.host_port == 0; ++candidate) {
      PublishedPort tried = port;
      tried.host_port = static_cast<uint16_t>(candidate);
      if (CheckFree(tried, address).ok()) result.host_port = tried.host_port;
    }
    if (result.host_port == 0) return absl::ResourceExhaustedError("no host port is free");
  }
  holders_[Key(port.protocol, result.host_port)].push_back({address, std::move(socket)});
  return result;
}

absl::StatusOr<PublishedPort> PortReservations::Reserve(const PublishedPort& port) {
  if (port.container_port == 0) return absl::InvalidArgumentError("container port 0 is no port");
  ASSIGN_OR_RETURN(const std::string address, HostAddress(port));
  absl::MutexLock lock(&mutex_);
  PublishedPort tried = port;
  absl::StatusOr<PublishedPort> reserved = ReserveOne(tried, address);
  while (!reserved.ok() && tried.host_port < port.host_port_last) {
    ++tried.host_port;
    reserved = ReserveOne(tried, address);
  }
  return reserved;
}

absl::Status PortReservations::Restore(const PublishedPort& port) {
  ASSIGN_OR_RETURN(const std::string address, HostAddress(port));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckFree(port, address));
  uint16_t bound = 0;
  absl::StatusOr<UniqueFd> socket = Hold(port, address, bound);
  holders_[Key(port.protocol, port.host_port)].push_back(
      {address, socket.ok() ? *std::move(socket) : UniqueFd()});
  return absl::OkStatus();
}

void PortReservations::Release(const PublishedPort& port) {
  const absl::StatusOr<std::string> address = HostAddress(port);
  if (!address.ok()) return;
  absl::MutexLock lock(&mutex_);
  auto it = holders_.find(Key(port.protocol, port.host_port));
  if (it == holders_.end()) return;
  std::erase_if(it->second, [&](const Holder& holder) { return holder.address == *address; });
  if (it->second.empty()) holders_.erase(it);
}

UniqueFd PortReservations::SocketOf(const PublishedPort& port) const {
  const absl::StatusOr<std::string> address = HostAddress(port);
  if (!address.ok()) return UniqueFd();
  absl::MutexLock lock(&mutex_);
  const auto found = holders_.find(Key(port.protocol, port.host_port));
  if (found == holders_.end()) return UniqueFd();
  for (const Holder& holder : found->second) {
    if (holder.address != *address || !holder.socket.ok()) continue;
    return UniqueFd(fcntl(holder.socket.get(), F_DUPFD_CLOEXEC, 0));
  }
  return UniqueFd();
}

}  // namespace slipway::agent
