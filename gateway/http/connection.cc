#include "gateway/http/connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/rpc/request_id.h"

namespace slipway::gateway {
namespace {

constexpr auto kLinger = std::chrono::seconds(2);
constexpr size_t kLingerBytes = 64 << 20;

// 0 where the client just left.
int StatusOfBadRequest(const error_code& error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error == boost::beast::error::timeout) return 408;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error.category() == http::make_error_code(http::error::bad_target).category()) return 400;
  return 0;
}

Awaitable<void> Refuse(Stream& stream, int status, absl::string_view message) {
  const std::string body = Exchange::ErrorBody(message);
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  const std::string answer =
      absl::StrCat("HTTP/1.1 ", status, " ", absl::string_view(reason.data(), reason.size()),
                   "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(),
                   "\r\nConnection: close\r\n\r\n", body);
  error_code error;
  stream.expires_after(std::chrono::seconds(5));
  co_await asio::async_write(stream, asio::buffer(answer), Into(error));
}

// False when the connection is over.
Awaitable<bool> ReadHeader(Stream& stream, boost::beast::flat_buffer& buffer, RequestParser& parser,
                           const HttpLimits& limits) {
  error_code error;
  if (buffer.size() == 0) {
    // An idle connection keeps no memory for a request.
    buffer.shrink_to_fit();
    stream.expires_after(limits.idle);
    const size_t count = co_await stream.async_read_some(buffer.prepare(4096), Into(error));
    if (error) co_return false;
    buffer.commit(count);
  }
  stream.expires_after(limits.header);
  co_await http::async_read_header(stream, buffer, parser, Into(error));
  stream.expires_never();
  if (!error) co_return true;
  const int status = StatusOfBadRequest(error);
  if (status != 0) co_await Refuse(stream, status, error.message());
  co_return false;
}

// A socket that is closed with unread bytes resets its peer, which may lose the answer: what still
// comes is read for a while.
Awaitable<void> Linger(Stream& stream) {
  error_code error;
  stream.socket().shutdown(asio::socket_base::shutdown_send, error);
  std::vector<char> discarded(16 << 10);
  stream.expires_after(kLinger);
  for (size_t bytes = 0; !error && bytes < kLingerBytes;) {
    bytes += co_await stream.async_read_some(asio::buffer(discarded), Into(error));
  }
}

// RFC 9112, 3.2: one Host in a 1.1 request, and no message of two lengths.
bool IsAmbiguous(const RequestParser& parser) {
  const auto& fields = parser.get();
  return (fields.version() >= 11 && fields.count(http::field::host) != 1) ||
         fields.count(http::field::content_length) > 1 ||
         fields.count(http::field::transfer_encoding) > 1;
}

// False when the connection cannot carry another request.
Awaitable<bool> ServeOne(const std::shared_ptr<Stream>& stream, boost::beast::flat_buffer& buffer,
                         Application& application, const HttpLimits& limits) {
  RequestParser parser;
  parser.header_limit(static_cast<uint32_t>(limits.header_bytes));
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  const bool read = co_await ReadHeader(*stream, buffer, parser, limits);
  if (!read) co_return false;
  if (parser.get().version() != 11 && parser.get().version() != 10) {
    co_await Refuse(*stream, 505, "HTTP version is not supported");
    co_return false;
  }
  if (IsAmbiguous(parser)) {
    co_await Refuse(*stream, 400, "ambiguous Host, Content-Length or Transfer-Encoding");
    co_return false;
  }
  Exchange exchange(stream, buffer, parser, limits, NewRequestId());
  co_await application.Serve(exchange);
  if (!exchange.started()) {
    co_await Refuse(*stream, 500, "no answer");
    co_return false;
  }
  co_return exchange.reusable();
}

}  // namespace

Awaitable<void> ServeConnection(std::shared_ptr<Stream> stream, Application& application,
                                const HttpLimits& limits) {
  boost::beast::flat_buffer buffer(limits.header_bytes + 65536);
  try {
    bool more = true;
    while (more) more = co_await ServeOne(stream, buffer, application, limits);
    co_await Linger(*stream);
  } catch (const std::exception& error) {
    // Only the libraries below throw, for want of memory or of a bug of ours.
    Log(LogLevel::kError, "connection ended by an exception", {{"what", error.what()}});
  }
  error_code ignored;
  stream->socket().close(ignored);
}

}  // namespace slipway::gateway
