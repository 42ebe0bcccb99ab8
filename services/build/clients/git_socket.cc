#include "services/build/clients/git_socket.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr char kPort[] = "9418";  // git-daemon(1)
constexpr int kPollMs = 200;
constexpr size_t kMaxPathBytes = 4096;

struct Address {
  std::string authority;  // as written
  std::string host;
  std::string port = kPort;
  std::string path;
};

absl::StatusOr<Address> ParseAddress(absl::string_view url) {
  absl::ConsumePrefix(&url, "git://");
  const size_t slash = url.find('/');
  if (slash == absl::string_view::npos || slash == 0 || url.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError("an address of a git daemon is git://host[:port]/path");
  }
  Address address;
  address.authority = std::string(url.substr(0, slash));
  address.path = std::string(url.substr(slash));
  absl::string_view rest = address.authority;
  if (absl::ConsumePrefix(&rest, "[")) {
    const size_t end = std::min(rest.find(']'), rest.size());
    address.host = std::string(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  } else {
    address.host = std::string(rest.substr(0, rest.find(':')));
    rest.remove_prefix(address.host.size());
  }
  if (absl::ConsumePrefix(&rest, ":")) address.port = std::string(rest);
  return address;
}

}  // namespace

absl::Status GitSocket::Wait(short events) {
  const absl::Time until = std::min(transfer_.deadline, absl::Now() + transfer_.stall_time);
  pollfd polled = {fd_.get(), events, 0};
  while (true) {
    RETURN_IF_ERROR(transfer_.cancellation.status());
    if (poll(&polled, 1, kPollMs) > 0) return absl::OkStatus();
    if (absl::Now() > until) {
      return absl::DeadlineExceededError("the git server does not answer in time");
    }
  }
}

absl::StatusOr<std::unique_ptr<GitSocket>> GitSocket::Connect(absl::string_view url,
                                                              GitTransfer& transfer) {
  ASSIGN_OR_RETURN(const Address address, ParseAddress(url));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("look up ", address.authority, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  absl::Status status = absl::UnavailableError(absl::StrCat("no address of ", address.authority));
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    std::unique_ptr<GitSocket> made(new GitSocket(
        UniqueFd(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), transfer));
    int failure = 0;
    if (connect(made->fd_.get(), at->ai_addr, at->ai_addrlen) != 0) failure = errno;
    if (failure == EINPROGRESS) {
      RETURN_IF_ERROR(made->Wait(POLLOUT));
      socklen_t size = sizeof(failure);
      getsockopt(made->fd_.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
    }
    if (failure != 0) {
      status = absl::UnavailableError(
          absl::StrCat("connect to ", address.authority, ": ", strerror(failure)));
      continue;
    }
    std::string request = absl::StrCat("git-upload-pack ", address.path);
    request.push_back('\0');
    absl::StrAppend(&request, "host=", address.authority);
    request.push_back('\0');
    RETURN_IF_ERROR(made->Write(absl::StrFormat("%04x", request.size() + 4) + request));
    return made;
  }
  return status;
}

absl::StatusOr<size_t> GitSocket::Read(char* out, size_t size) {
  while (true) {
    const ssize_t count = recv(fd_.get(), out, size, 0);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EAGAIN && errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("read from the git server: ", strerror(errno)));
    }
    RETURN_IF_ERROR(Wait(POLLIN));
  }
}

absl::Status GitSocket::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("write to the git server: ", strerror(errno)));
    }
    RETURN_IF_ERROR(Wait(POLLOUT));
  }
  return absl::OkStatus();
}

}  // namespace slipway::build
