#include "services/log/outlets/connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

using Transport = ConnectionOptions::Transport;

absl::Status WaitFor(int fd, short events, const std::string& address) {
  pollfd waited = {fd, events, 0};
  const int n = poll(&waited, 1, Connection::kPatienceMs);
  if (n > 0) return absl::OkStatus();
  if (n < 0 && errno == EINTR) return WaitFor(fd, events, address);
  return absl::UnavailableError(absl::StrCat(address, " does not take or give anything"));
}

absl::Status Connect(int fd, const sockaddr* to, socklen_t size, const std::string& address) {
  if (connect(fd, to, size) == 0) return absl::OkStatus();
  if (errno != EINPROGRESS && errno != EAGAIN) {
    return ErrnoStatus(errno, absl::StrCat("connect to ", address));
  }
  RETURN_IF_ERROR(WaitFor(fd, POLLOUT, address));
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("connect to ", address));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ConnectUnix(const ConnectionOptions& options) {
  const int type = options.transport == Transport::kUnixDatagram ? SOCK_DGRAM : SOCK_STREAM;
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "make a socket");
  sockaddr_un to = {};
  to.sun_family = AF_UNIX;
  if (options.address.size() >= sizeof(to.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(options.address, ": path is too long"));
  }
  memcpy(to.sun_path, options.address.data(), options.address.size());
  RETURN_IF_ERROR(
      Connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to), options.address));
  return fd;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

absl::StatusOr<UniqueFd> ConnectInternet(const ConnectionOptions& options, std::string& host) {
  const size_t colon = options.address.rfind(':');
  const bool has_port = colon != std::string::npos && options.address.back() != ']';
  host = options.address.substr(0, has_port ? colon : std::string::npos);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const std::string port = has_port ? options.address.substr(colon + 1) : options.default_port;
  addrinfo hints = {};
  hints.ai_socktype = options.transport == Transport::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(
        absl::StrCat("look up ", options.address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  absl::Status status = absl::UnavailableError(absl::StrCat(options.address, " has no address"));
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    UniqueFd fd(socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.ok()) continue;
    status = Connect(fd.get(), each->ai_addr, each->ai_addrlen, options.address);
    if (status.ok()) return fd;
  }
  return status;
}

class PlainConnection : public Connection {
 public:
  PlainConnection(UniqueFd fd, std::string address)
      : fd_(std::move(fd)), address_(std::move(address)) {}

  absl::Status Write(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN || errno == ENOBUFS) {
        RETURN_IF_ERROR(WaitFor(fd_.get(), POLLOUT, address_));
      } else if (errno != EINTR) {
        return ErrnoStatus(errno, absl::StrCat("write to ", address_));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read() override {
    RETURN_IF_ERROR(WaitFor(fd_.get(), POLLIN, address_));
    char bytes[4096];
    const ssize_t n = recv(fd_.get(), bytes, sizeof(bytes), 0);
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read from ", address_));
    if (n == 0) return absl::UnavailableError(absl::StrCat(address_, " closed the connection"));
    return std::string(bytes, static_cast<size_t>(n));
  }

  bool closed() const override {
    pollfd looked = {fd_.get(), POLLRDHUP, 0};
    return poll(&looked, 1, 0) > 0 && (looked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  int fd() const { return fd_.get(); }
  const std::string& address() const { return address_; }

 private:
  const UniqueFd fd_;
  const std::string address_;
};

struct FreeTls {
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

absl::Status TlsError(absl::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return absl::UnavailableError(absl::StrCat(what, ": ", text));
}

class TlsConnection : public Connection {
 public:
  explicit TlsConnection(std::unique_ptr<PlainConnection> under) : under_(std::move(under)) {}

  absl::Status Handshake(const ConnectionOptions& options, const std::string& host) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (context_ == nullptr) return TlsError("TLS");
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    const bool trusted =
        options.ca_file.empty()
            ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
            : SSL_CTX_load_verify_locations(context_.get(), options.ca_file.c_str(), nullptr) == 1;
    if (!trusted) return TlsError(absl::StrCat("read CA ", options.ca_file));
    if (!options.certificate_file.empty()) {
      if (SSL_CTX_use_certificate_chain_file(context_.get(), options.certificate_file.c_str()) !=
              1 ||
          SSL_CTX_use_PrivateKey_file(context_.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) !=
              1) {
        return TlsError(absl::StrCat("read certificate ", options.certificate_file));
      }
    }
    if (!options.skip_verify) SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    tls_.reset(SSL_new(context_.get()));
    if (tls_ == nullptr) return TlsError("TLS");
    SSL_set_tlsext_host_name(tls_.get(), host.c_str());
    X509_VERIFY_PARAM* const verify = SSL_get0_param(tls_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) != 1) {
      X509_VERIFY_PARAM_set1_host(verify, host.c_str(), host.size());
    }
    ERR_clear_error();
    SSL_set_fd(tls_.get(), under_->fd());
    return Repeat("TLS with", [this] { return SSL_connect(tls_.get()); }).status();
  }

  absl::Status Write(absl::string_view bytes) override {
    while (!bytes.empty()) {
      ASSIGN_OR_RETURN(const int n, Repeat("write to", [&] {
                         return SSL_write(tls_.get(), bytes.data(),
                                          static_cast<int>(std::min<size_t>(bytes.size(), 16384)));
                       }));
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read() override {
    char bytes[4096];
    ASSIGN_OR_RETURN(const int n, Repeat("read from", [&] {
                       return SSL_read(tls_.get(), bytes, sizeof(bytes));
                     }));
    return std::string(bytes, static_cast<size_t>(n));
  }

  bool closed() const override { return under_->closed(); }

 private:
  template <typename Call>
  absl::StatusOr<int> Repeat(const char* what, Call call) {
    while (true) {
      const int n = call();
      if (n > 0) return n;
      const int error = SSL_get_error(tls_.get(), n);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        return TlsError(absl::StrCat(what, " ", under_->address()));
      }
      RETURN_IF_ERROR(WaitFor(under_->fd(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
                              under_->address()));
    }
  }

  const std::unique_ptr<PlainConnection> under_;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::unique_ptr<SSL, FreeTls> tls_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options) {
  if (options.transport == Transport::kUnixStream ||
      options.transport == Transport::kUnixDatagram) {
    ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(options));
    return std::make_unique<PlainConnection>(std::move(fd), options.address);
  }
  std::string host;
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectInternet(options, host));
  auto plain = std::make_unique<PlainConnection>(std::move(fd), options.address);
  if (options.transport != Transport::kTls) return plain;
  auto tls = std::make_unique<TlsConnection>(std::move(plain));
  RETURN_IF_ERROR(tls->Handshake(options, host));
  return tls;
}

}  // namespace slipway::log
