#include "gateway/http/exchange.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/status/errno_status.h"

namespace slipway::gateway {
namespace {

absl::Status Gone(const error_code& error) {
  return absl::UnavailableError(absl::StrCat("client is gone: ", error.message()));
}

absl::string_view Reason(int status) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return absl::string_view(reason.data(), reason.size());
}

// What a Unix socket holds of writes of 32 KB, as clients of Go make them.
constexpr size_t kReadBytes = 64 << 10;

bool HasNoBody(int status) { return status == 204 || status == 304 || status < 200; }

// Some clients (docker-py) read the head through a buffer that they drop: bytes of the stream that
// arrive together with the head would be lost. dockerd is too slow for that to show; here the
// stream waits, for 10 ms at most, until the head has been taken out of the socket (SIOCOUTQ).
Awaitable<void> WaitUntilRead(Stream& stream) {
  constexpr int kTries = 200;
  asio::steady_timer timer(stream.get_executor());
  for (int i = 0; i < kTries; ++i) {
    int unread = 0;
    if (ioctl(stream.socket().native_handle(), SIOCOUTQ, &unread) != 0 || unread == 0) co_return;
    timer.expires_after(std::chrono::microseconds(50));
    error_code error;
    co_await timer.async_wait(Into(error));
  }
}

}  // namespace

// Lives on while a wait for the client's end is under way.
struct Exchange::Watch {
  std::function<void()> gone;
  asio::cancellation_signal cancel;
  bool over = false;
};

Exchange::~Exchange() {
  if (watch_ == nullptr) return;
  watch_->over = true;
  watch_->gone = nullptr;
  watch_->cancel.emit(asio::cancellation_type::terminal);
}

absl::string_view Exchange::method() const {
  const auto text = parser_.get().method_string();
  return absl::string_view(text.data(), text.size());
}

absl::string_view Exchange::target() const {
  const auto text = parser_.get().target();
  return absl::string_view(text.data(), text.size());
}

absl::string_view Exchange::Header(absl::string_view name) const {
  const auto& fields = parser_.get();
  const auto found = fields.find(boost::beast::string_view(name.data(), name.size()));
  if (found == fields.end()) return "";
  return absl::string_view(found->value().data(), found->value().size());
}

std::vector<std::string> Exchange::Headers(absl::string_view name) const {
  std::vector<std::string> values;
  const auto& fields = parser_.get();
  const auto [first, last] =
      fields.equal_range(boost::beast::string_view(name.data(), name.size()));
  for (auto field = first; field != last; ++field) {
    values.emplace_back(field->value().data(), field->value().size());
  }
  return values;
}

bool Exchange::HasBody() const {
  if (parser_.chunked()) return true;
  const auto length = parser_.content_length();
  return length && *length > 0;
}

void Exchange::ParseArrived(error_code& error) {
  parser_.eager(true);
  bool wants_more = buffer_.size() == 0;
  while (!error && parser_.get().body().size > 0 && !parser_.is_done()) {
    if (wants_more) {
      const auto room = buffer_.prepare(std::min(kReadBytes, buffer_.max_size() - buffer_.size()));
      const ssize_t count =
          recv(stream_->socket().native_handle(), room.data(), room.size(), MSG_DONTWAIT);
      // An end or an error of the socket is found again by who waits for more.
      if (count <= 0) return;
      buffer_.commit(static_cast<size_t>(count));
    }
    buffer_.consume(parser_.put(buffer_.data(), error));
    wants_more = buffer_.size() == 0 || error == http::error::need_more;
    if (error == http::error::need_more) error = {};
  }
}

Awaitable<absl::StatusOr<size_t>> Exchange::ReadSome(char* data, size_t size) {
  if (parser_.is_done()) co_return 0;
  error_code error;
  if (!continue_sent_ && absl::EqualsIgnoreCase(Header("Expect"), "100-continue")) {
    continue_sent_ = true;
    const absl::string_view line = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(*stream_, asio::buffer(line.data(), line.size()), Into(error));
    if (error) co_return Gone(error);
  }
  auto& body = parser_.get().body();
  body.data = data;
  body.size = size;
  while (true) {
    ParseArrived(error);
    if (error || body.size == 0 || parser_.is_done()) break;
    stream_->expires_after(limits_.body);
    const size_t count = co_await stream_->async_read_some(
        buffer_.prepare(std::min(kReadBytes, buffer_.max_size() - buffer_.size())), Into(error));
    stream_->expires_never();
    if (error == asio::error::eof) error = http::error::partial_message;
    buffer_.commit(count);
  }
  if (error == http::error::need_buffer) error = {};
  if (error) {
    reusable_ = false;
    if (error == http::error::body_limit) {
      co_return absl::InvalidArgumentError("request body is too large");
    }
    if (error == boost::beast::error::timeout) {
      co_return absl::DeadlineExceededError("request body did not arrive in time");
    }
    co_return absl::InvalidArgumentError(absl::StrCat("read request body: ", error.message()));
  }
  co_return size - body.size;
}

Awaitable<absl::StatusOr<std::string>> Exchange::ReadBody() {
  std::string body;
  size_t filled = 0;
  if (const auto length = parser_.content_length(); length && *length > limits_.json_body_bytes) {
    co_return absl::InvalidArgumentError("request body is too large");
  }
  while (true) {
    body.resize(std::clamp<size_t>(body.size() * 2, 4096, limits_.json_body_bytes + 1));
    CO_ASSIGN_OR_RETURN(const size_t count,
                        co_await ReadSome(body.data() + filled, body.size() - filled));
    filled += count;
    if (count == 0 || parser_.is_done()) break;
    if (filled > limits_.json_body_bytes) {
      reusable_ = false;
      co_return absl::InvalidArgumentError("request body is too large");
    }
  }
  if (filled > limits_.json_body_bytes) {
    co_return absl::InvalidArgumentError("request body is too large");
  }
  body.resize(filled);
  co_return body;
}

Awaitable<absl::StatusOr<boost::json::value>> Exchange::ReadJson(bool optional) {
  CO_ASSIGN_OR_RETURN(const std::string body, co_await ReadBody());
  if (body.empty()) {
    if (optional) co_return boost::json::value(nullptr);
    co_return absl::InvalidArgumentError("invalid JSON: got EOF while reading request body");
  }
  const absl::string_view type = Header("Content-Type");
  if (!absl::EqualsIgnoreCase(type.substr(0, type.find(';')), "application/json")) {
    co_return absl::InvalidArgumentError(
        absl::StrCat("unsupported Content-Type header (", type, "): must be 'application/json'"));
  }
  error_code error;
  boost::json::parse_options options;
  options.max_depth = 32;
  boost::json::value value =
      boost::json::parse(boost::json::string_view(body.data(), body.size()), error, {}, options);
  if (error == boost::json::error::extra_data) {
    co_return absl::InvalidArgumentError("unexpected content after JSON");
  }
  if (error) co_return absl::InvalidArgumentError(absl::StrCat("invalid JSON: ", error.message()));
  co_return value;
}

bool Exchange::KeepAlive() const { return reusable_ && parser_.get().keep_alive(); }

std::string Exchange::Head(int status, absl::string_view content_type,
                           const std::vector<ResponseHeader>& headers) const {
  std::string head = absl::StrCat("HTTP/1.1 ", status, " ", Reason(status), "\r\n");
  absl::StrAppend(&head, common_headers_);
  if (!content_type.empty()) absl::StrAppend(&head, "Content-Type: ", content_type, "\r\n");
  for (const ResponseHeader& header : headers) {
    absl::StrAppend(&head, header.name, ": ", header.value, "\r\n");
  }
  absl::StrAppend(&head, "Date: ",
                  absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()),
                  "\r\n");
  return head;
}

Awaitable<absl::Status> Exchange::WriteAll(std::string head, absl::string_view body,
                                           absl::string_view tail) {
  const std::array<asio::const_buffer, 3> buffers = {asio::buffer(head.data(), head.size()),
                                                     asio::buffer(body.data(), body.size()),
                                                     asio::buffer(tail.data(), tail.size())};
  error_code error;
  co_await asio::async_write(*stream_, buffers, Into(error));
  if (error) {
    reusable_ = false;
    co_return Gone(error);
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> Exchange::Send(int status, absl::string_view content_type,
                                       absl::string_view body,
                                       std::vector<ResponseHeader> headers) {
  started_ = true;
  status_ = status;
  // What is left of a body would be taken for the next request.
  if (!parser_.is_done()) reusable_ = false;
  std::string head = Head(status, content_type, headers);
  if (!HasNoBody(status)) absl::StrAppend(&head, "Content-Length: ", body.size(), "\r\n");
  if (!KeepAlive()) {
    reusable_ = false;
    head += "Connection: close\r\n";
  } else if (parser_.get().version() == 10) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  if (method() == "HEAD" || HasNoBody(status)) body = "";
  stream_->expires_after(limits_.answer);
  absl::Status written = co_await WriteAll(std::move(head), body, "");
  stream_->expires_never();
  co_return written;
}

Awaitable<absl::Status> Exchange::SendLine(int status, std::string json) {
  json += '\n';
  co_return co_await Send(status, "application/json", json);
}

Awaitable<absl::Status> Exchange::SendEmpty(int status) { co_return co_await Send(status, "", ""); }

Awaitable<absl::Status> Exchange::BeginStream(int status, absl::string_view content_type,
                                              std::vector<ResponseHeader> headers) {
  started_ = true;
  status_ = status;
  if (!parser_.is_done()) reusable_ = false;
  chunked_ = parser_.get().version() >= 11;
  if (!chunked_) reusable_ = false;
  std::string head = Head(status, content_type, headers);
  if (chunked_) head += "Transfer-Encoding: chunked\r\n";
  if (!KeepAlive()) {
    reusable_ = false;
    head += "Connection: close\r\n";
  }
  head += "\r\n";
  stream_->expires_never();
  co_return co_await WriteAll(std::move(head), "", "");
}

Awaitable<absl::Status> Exchange::Write(absl::string_view piece) {
  // An empty chunk would end the answer.
  if (piece.empty()) co_return absl::OkStatus();
  if (!chunked_) co_return co_await WriteAll("", piece, "");
  co_return co_await WriteAll(absl::StrCat(absl::Hex(piece.size()), "\r\n"), piece, "\r\n");
}

Awaitable<absl::Status> Exchange::EndStream() {
  if (!chunked_) co_return absl::OkStatus();
  co_return co_await WriteAll("0\r\n\r\n", "", "");
}

Awaitable<absl::Status> Exchange::Hijack(absl::string_view content_type,
                                         absl::string_view protocol) {
  const bool upgrade = !Header("Upgrade").empty();
  started_ = true;
  hijacked_ = true;
  status_ = upgrade ? 101 : 200;
  std::string head = upgrade ? absl::StrCat("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n",
                                            "Upgrade: ", protocol, "\r\n")
                             : "HTTP/1.1 200 OK\r\nConnection: close\r\n";
  if (!content_type.empty()) absl::StrAppend(&head, "Content-Type: ", content_type, "\r\n");
  absl::StrAppend(&head, common_headers_, "\r\n");
  stream_->expires_never();
  const absl::Status written = co_await WriteAll(std::move(head), "", "");
  if (written.ok() && upgrade) co_await WaitUntilRead(*stream_);
  co_return written;
}

Awaitable<absl::StatusOr<size_t>> Exchange::ReadRaw(char* data, size_t size) {
  if (buffer_.size() > 0) {
    const size_t count = std::min(size, buffer_.size());
    std::memcpy(data, buffer_.data().data(), count);
    buffer_.consume(count);
    co_return count;
  }
  error_code error;
  const size_t count = co_await stream_->async_read_some(asio::buffer(data, size), Into(error));
  if (error == asio::error::eof) co_return 0;
  if (error) co_return Gone(error);
  co_return count;
}

Awaitable<absl::Status> Exchange::WriteRaw(absl::string_view data) {
  co_return co_await WriteAll("", data, "");
}

absl::StatusOr<UniqueFd> Exchange::DuplicateSocket() {
  if (buffer_.size() > 0) {
    return absl::FailedPreconditionError("the client sent more before the protocol was changed");
  }
  UniqueFd fd(fcntl(stream_->socket().native_handle(), F_DUPFD_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "duplicate the socket of a connection");
  return fd;
}

Awaitable<void> Exchange::WaitForHangup() {
  error_code error;
  const std::shared_ptr<Stream> stream = stream_;
  // epoll reports EPOLLHUP, when both directions are shut, to every kind of wait.
  co_await stream->socket().async_wait(asio::socket_base::wait_error, Into(error));
}

void Exchange::WatchDisconnect(std::function<void()> gone) {
  // What is buffered already is a pipelined request: the client is there.
  if (watch_ != nullptr || buffer_.size() > 0) return;
  watch_ = std::make_shared<Watch>();
  watch_->gone = std::move(gone);
  auto on_readable = [watch = watch_, stream = stream_](const error_code& error) {
    if (error || watch->over || !watch->gone) return;
    char byte;
    const ssize_t count = recv(stream->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool alive = count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
    if (!alive) watch->gone();
  };
  stream_->socket().async_wait(
      asio::socket_base::wait_read,
      asio::bind_cancellation_slot(watch_->cancel.slot(), std::move(on_readable)));
}

std::string Exchange::ErrorBody(absl::string_view message) {
  return absl::StrCat("{\"message\":\"", JsonEscape(message), "\"}\n");
}

}  // namespace slipway::gateway
