#include "gateway/http/listener.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "gateway/http/connection.h"

namespace slipway::gateway {

using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using Socket = asio::generic::stream_protocol::socket;

struct Listener::Impl {
  Impl(IoThreads& threads, Application& application, const Options& options)
      : threads(threads), acceptor(threads.Next()), application(application), options(options) {}

  IoThreads& threads;
  Acceptor acceptor;
  Application& application;
  const Options options;
  std::atomic<int> connections = 0;
  int port = 0;
};

namespace {

constexpr absl::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 35\r\nConnection: close\r\n\r\n{\"message\":\"too many connections\"}\n";

template <typename Impl>
Awaitable<void> RunConnection(std::shared_ptr<Impl> impl, Socket socket) {
  auto stream = std::make_shared<Stream>(std::move(socket));
  if (impl->connections.fetch_add(1) >= impl->options.max_connections) {
    error_code ignored;
    co_await asio::async_write(*stream, asio::buffer(kFull.data(), kFull.size()), Into(ignored));
  } else {
    co_await ServeConnection(std::move(stream), impl->application, impl->options.limits);
  }
  impl->connections.fetch_sub(1);
}

template <typename Impl>
Awaitable<void> Accept(std::shared_ptr<Impl> impl) {
  while (impl->acceptor.is_open()) {
    error_code error;
    asio::io_context& context = impl->threads.Next();
    Socket socket(context);
    co_await impl->acceptor.async_accept(socket, Into(error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      // Out of descriptors: accepting at once again would spin.
      Log(LogLevel::kWarning, "accept failed", {{"error", error.message()}});
      asio::steady_timer timer(impl->acceptor.get_executor(), std::chrono::milliseconds(100));
      co_await timer.async_wait(Into(error));
      continue;
    }
    asio::co_spawn(context, RunConnection(impl, std::move(socket)), asio::detached);
  }
}

absl::Status Failed(absl::string_view verb, absl::string_view address, const error_code& error) {
  return ErrnoStatus(error.value(), absl::StrCat(verb, " ", address));
}

absl::Status Bind(Acceptor& acceptor, const asio::generic::stream_protocol::endpoint& endpoint,
                  absl::string_view address, bool is_unix) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (error) return Failed("socket for", address, error);
  if (!is_unix) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (error) return Failed("bind", address, error);
  return absl::OkStatus();
}

// A socket file nobody listens on is removed; a live one stays, and bind fails.
void RemoveDeadSocket(const std::string& path) {
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (error == asio::error::connection_refused) unlink(path.c_str());
}

}  // namespace

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {
  asio::co_spawn(impl_->acceptor.get_executor(), Accept(impl_), asio::detached);
}

Listener::~Listener() { Stop(); }

void Listener::Stop() {
  // The acceptor belongs to its coroutine's thread.
  asio::post(impl_->acceptor.get_executor(), [impl = impl_] {
    error_code ignored;
    impl->acceptor.close(ignored);
  });
}

int Listener::connections() const { return impl_->connections.load(); }

int Listener::port() const { return impl_->port; }

absl::StatusOr<std::unique_ptr<Listener>> Listener::OnUnixSocket(IoThreads& threads,
                                                                 const std::string& path,
                                                                 mode_t mode,
                                                                 Application& application,
                                                                 const Options& options) {
  // sockaddr_un(7): sun_path has 108 bytes with its NUL.
  if (path.size() > 107) {
    return absl::InvalidArgumentError(absl::StrCat("socket path is longer than 107 bytes: ", path));
  }
  auto impl = std::make_shared<Impl>(threads, application, options);
  RemoveDeadSocket(path);
  // Nobody else may connect in the moment before chmod.
  const mode_t old_mask = umask(0177);
  const absl::Status bound =
      Bind(impl->acceptor, asio::local::stream_protocol::endpoint(path), path, true);
  umask(old_mask);
  RETURN_IF_ERROR(bound);
  if (chmod(path.c_str(), mode) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  error_code error;
  impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Failed("listen on", path, error);
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::OnTcp(IoThreads& threads,
                                                          absl::string_view address,
                                                          Application& application,
                                                          const Options& options) {
  const size_t colon = address.rfind(':');
  absl::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  int port = 0;
  error_code error;
  const auto ip = asio::ip::make_address(std::string(host), error);
  if (colon == absl::string_view::npos || error ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("not an address:port: \"", address, "\""));
  }
  auto impl = std::make_shared<Impl>(threads, application, options);
  const asio::ip::tcp::endpoint endpoint(ip, static_cast<uint16_t>(port));
  RETURN_IF_ERROR(Bind(impl->acceptor, endpoint, address, false));
  impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Failed("listen on", address, error);
  asio::ip::tcp::endpoint bound;
  const auto local = impl->acceptor.local_endpoint(error);
  if (!error && local.size() <= bound.capacity()) {
    std::memcpy(bound.data(), local.data(), local.size());
    impl->port = bound.port();
  }
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

}  // namespace slipway::gateway
