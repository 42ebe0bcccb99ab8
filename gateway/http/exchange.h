#ifndef GATEWAY_HTTP_EXCHANGE_H_
#define GATEWAY_HTTP_EXCHANGE_H_

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "gateway/http/coroutine.h"
#include "gateway/http/url.h"

namespace slipway::gateway {

namespace http = boost::beast::http;

// Unix and TCP sockets alike.
using Stream = boost::beast::basic_stream<asio::generic::stream_protocol>;
using RequestParser = http::request_parser<http::buffer_body>;

struct HttpLimits {
  size_t header_bytes = 64 << 10;
  size_t json_body_bytes = 4 << 20;
  std::chrono::seconds idle{300};   // between requests
  std::chrono::seconds header{10};  // from a request's first byte to the end of its header
  std::chrono::seconds body{60};    // without a byte of a body that is waited for
  std::chrono::seconds answer{60};  // without progress of an answer that is whole
};

struct ResponseHeader {
  absl::string_view name;
  std::string value;
};

// One request with its answer. Used by one coroutine on the connection's thread; not thread-safe.
// Calls that write return Unavailable when the client is gone: the handler just ends then.
class Exchange {
 public:
  // All outlive the exchange. `parser` has read the header; `buffer` has what came behind it.
  Exchange(const std::shared_ptr<Stream>& stream, boost::beast::flat_buffer& buffer,
           RequestParser& parser, const HttpLimits& limits, std::string request_id)
      : stream_(stream),
        buffer_(buffer),
        parser_(parser),
        limits_(limits),
        request_id_(std::move(request_id)) {}
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // --- The request.
  absl::string_view method() const;
  absl::string_view target() const;
  // A header's value; empty where it is absent.
  absl::string_view Header(absl::string_view name) const;
  // The values of one that is there several times.
  std::vector<std::string> Headers(absl::string_view name) const;
  const std::string& request_id() const { return request_id_; }
  bool HasBody() const;

  // Fills `data` as far as the body goes; 0 at its end.
  Awaitable<absl::StatusOr<size_t>> ReadSome(char* data, size_t size);
  // The whole body; InvalidArgument when it is longer than the limit.
  Awaitable<absl::StatusOr<std::string>> ReadBody();
  // The body as JSON. InvalidArgument unless Content-Type says JSON and one value is there;
  // nothing (null) when the body is empty and `optional`.
  Awaitable<absl::StatusOr<boost::json::value>> ReadJson(bool optional = false);

  // --- The answer. These go out with each answer of the application.
  void SetCommonHeaders(absl::string_view lines) { common_headers_ = lines; }
  bool started() const { return started_; }
  int status() const { return status_; }

  // A whole answer.
  Awaitable<absl::Status> Send(int status, absl::string_view content_type, absl::string_view body,
                               std::vector<ResponseHeader> headers = {});
  template <typename Json>
  Awaitable<absl::Status> SendJson(int status, const Json& body) {
    return SendLine(status, boost::json::serialize(body));
  }
  // The same for JSON that is text already.
  Awaitable<absl::Status> SendLine(int status, std::string json);
  Awaitable<absl::Status> SendEmpty(int status);

  // An answer in pieces, each on the wire when the call returns. Slow readers are waited for.
  Awaitable<absl::Status> BeginStream(int status, absl::string_view content_type,
                                      std::vector<ResponseHeader> headers = {});
  Awaitable<absl::Status> Write(absl::string_view piece);
  Awaitable<absl::Status> EndStream();
  // Gives an answer up that has begun: the client sees it cut off.
  void Abort() { reusable_ = false; }

  // Turns the connection into a byte stream, both ways, until it is closed: 101 when the client
  // asked for an upgrade, 200 otherwise (Docker's "hijack"). `protocol` is what it changes to.
  Awaitable<absl::Status> Hijack(absl::string_view content_type,
                                 absl::string_view protocol = "tcp");
  bool hijacked() const { return hijacked_; }
  // The byte stream. What had come behind the request's header is read first.
  Awaitable<absl::StatusOr<size_t>> ReadRaw(char* data, size_t size);
  Awaitable<absl::Status> WriteRaw(absl::string_view data);
  // A second descriptor of the hijacked connection, for a library that speaks what comes now; the
  // exchange reads and writes nothing more. FailedPrecondition when the client spoke too early.
  absl::StatusOr<UniqueFd> DuplicateSocket();
  // Resolves when the peer has closed its socket for good (a half-closed one does not count).
  Awaitable<void> WaitForHangup();
  const std::shared_ptr<Stream>& stream() const { return stream_; }

  // Calls `gone` once on that thread when the client goes away before the answer is complete. A
  // client that sends more instead is not watched any further.
  void WatchDisconnect(std::function<void()> gone);

  // Whether the connection can carry another request.
  bool reusable() const { return reusable_ && !hijacked_ && parser_.is_done(); }

  // JSON with a message, for errors of HTTP itself.
  static std::string ErrorBody(absl::string_view message);

 private:
  struct Watch;

  // Parses what of the body is there already, without a wait: each is a timer and two system calls
  // more, which a long body would pay for every few KB.
  void ParseArrived(error_code& error);
  bool KeepAlive() const;
  std::string Head(int status, absl::string_view content_type,
                   const std::vector<ResponseHeader>& headers) const;
  Awaitable<absl::Status> WriteAll(std::string head, absl::string_view body,
                                   absl::string_view tail);

  const std::shared_ptr<Stream> stream_;
  boost::beast::flat_buffer& buffer_;
  RequestParser& parser_;
  const HttpLimits& limits_;
  const std::string request_id_;
  absl::string_view common_headers_;
  std::shared_ptr<Watch> watch_;
  int status_ = 0;
  bool started_ = false;
  bool chunked_ = false;
  bool hijacked_ = false;
  bool reusable_ = true;
  bool continue_sent_ = false;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_EXCHANGE_H_
