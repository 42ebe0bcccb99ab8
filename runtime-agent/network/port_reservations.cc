#include "runtime-agent/network/port_reservations.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/address_pool.h"

namespace slipway::agent {
namespace {

absl::StatusOr<uint32_t> HostAddress(const PublishedPort& port) {
  if (port.host_address.empty()) return 0;
  return ParseIpv4(port.host_address);
}

std::string Printable(const PublishedPort& port) {
  return absl::StrCat(port.host_address.empty() ? "0.0.0.0" : port.host_address, ":",
                      port.host_port);
}

// A socket that has the port; no socket where the kernel lacks the protocol (then no process has it
// either).
absl::StatusOr<UniqueFd> Hold(const PublishedPort& port, uint32_t address, uint16_t& bound_port) {
  bool stream = port.protocol != PortProtocol::kUdp;
  UniqueFd fd(socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
                     PortProtocolNumber(port.protocol)));
  if (!fd.ok()) {
    if (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT) return UniqueFd();
    return ErrnoStatus(errno, absl::StrCat("open a socket for port ", Printable(port)));
  }
  if (stream) {
    // Connections of an earlier container that linger in TIME_WAIT do not count.
    int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port.host_port)};
  local.sin_addr.s_addr = htonl(address);
  // Listening is what refuses others that also set SO_REUSEADDR.
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0 ||
      (stream && listen(fd.get(), 0) != 0)) {
    int error = errno;
    std::string what =
        absl::StrCat("listen ", PortProtocolName(port.protocol), "4 ", Printable(port), ": bind: ");
    if (error == EADDRINUSE) {
      return absl::AlreadyExistsError(absl::StrCat(what, "address already in use"));
    }
    if (error == EADDRNOTAVAIL) {
      return absl::InvalidArgumentError(absl::StrCat(what, "cannot assign requested address"));
    }
    return ErrnoStatus(error, what);
  }
  socklen_t length = sizeof(local);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    return ErrnoStatus(errno, "name of a socket");
  }
  bound_port = ntohs(local.sin_port);
  return fd;
}

}  // namespace

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

absl::Status PortReservations::CheckFree(const PublishedPort& port, uint32_t address) {
  auto it = holders_.find(Key(port.protocol, port.host_port));
  if (it == holders_.end()) return absl::OkStatus();
  for (const Holder& holder : it->second) {
    if (holder.address == 0 || address == 0 || holder.address == address) {
      return absl::AlreadyExistsError(
          absl::StrCat("Bind for ", Printable(port), " failed: port is already allocated"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PublishedPort> PortReservations::Reserve(const PublishedPort& port) {
  if (port.container_port == 0) return absl::InvalidArgumentError("container port 0 is no port");
  ASSIGN_OR_RETURN(uint32_t address, HostAddress(port));
  PublishedPort result = port;
  absl::MutexLock lock(&mutex_);
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

absl::Status PortReservations::Restore(const PublishedPort& port) {
  ASSIGN_OR_RETURN(uint32_t address, HostAddress(port));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckFree(port, address));
  uint16_t bound = 0;
  absl::StatusOr<UniqueFd> socket = Hold(port, address, bound);
  holders_[Key(port.protocol, port.host_port)].push_back(
      {address, socket.ok() ? *std::move(socket) : UniqueFd()});
  return absl::OkStatus();
}

void PortReservations::Release(const PublishedPort& port) {
  absl::StatusOr<uint32_t> address = HostAddress(port);
  if (!address.ok()) return;
  absl::MutexLock lock(&mutex_);
  auto it = holders_.find(Key(port.protocol, port.host_port));
  if (it == holders_.end()) return;
  std::erase_if(it->second, [&](const Holder& holder) { return holder.address == *address; });
  if (it->second.empty()) holders_.erase(it);
}

}  // namespace slipway::agent
