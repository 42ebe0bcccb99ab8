#include "gateway/endpoints/hijacked_stream.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <memory>
#include <vector>

#include "gateway/docker/detach_keys.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::agent::v1;

constexpr size_t kInputBytes = 32 << 10;

// The client's input into the stream.
Awaitable<void> CopyInput(Exchange& http, AttachStream stream, HijackOptions options,
                          std::shared_ptr<bool> over) {
  DetachScanner scanner(options.detach_keys);
  while (!*over) {
    pb::AttachRequest piece;
    std::string& data = *piece.mutable_stdin();
    data.resize(kInputBytes);
    auto count = co_await http.ReadRaw(data.data(), data.size());
    if (*over) co_return;
    if (!count.ok()) {
      stream->Cancel();
      co_return;
    }
    if (*count == 0) break;
    if (!options.stdin) continue;
    data.resize(*count);
    const bool detached = scanner.Scan(data);
    const bool taken = data.empty() || co_await stream->Write(std::move(piece));
    if (!taken) co_return;
    if (!detached) continue;
    if (options.on_detach) options.on_detach();
    stream->Cancel();
    co_return;
  }
  if (*over) co_return;
  if (options.stdin && !options.eof_closes_stdin) {
    stream->Cancel();
    co_return;
  }
  if (options.stdin) {
    pb::AttachRequest end;
    end.set_close_stdin(true);
    const bool taken = co_await stream->Write(std::move(end));
    if (!taken || *over) co_return;
  }
  // Half-closed: the client still reads.
  co_await http.WaitForHangup();
  if (!*over) stream->Cancel();
}

Awaitable<absl::Status> CopyOutput(Exchange& http, AttachStream stream, HijackOptions options,
                                   std::function<Awaitable<void>()> after_end,
                                   std::shared_ptr<bool> over) {
  pb::AttachResponse message;
  std::string out;
  absl::Status written;
  while (written.ok() && co_await stream->Next(message)) {
    if (message.has_output()) {
      out.clear();
      AppendFrame(options.framing, message.output().stream(), message.output().data(), out);
      written = co_await http.WriteRaw(out);
    } else if (message.has_end()) {
      if (after_end) co_await after_end();
      break;
    }
  }
  *over = true;
  // The client sees the end; then what waits for its input is woken.
  error_code ignored;
  http.stream()->socket().shutdown(asio::socket_base::shutdown_send, ignored);
  http.stream()->cancel();
  stream->Cancel();
  co_return written;
}

}  // namespace

Awaitable<absl::StatusOr<pb::AttachReady>> BeginAttach(AttachStream stream, pb::AttachStart start) {
  pb::AttachRequest first;
  *first.mutable_start() = std::move(start);
  const bool sent = co_await stream->Write(std::move(first));
  pb::AttachResponse response;
  const bool answered = sent && co_await stream->Next(response);
  if (answered && response.has_ready()) co_return response.ready();
  const absl::Status finished = co_await stream->Finish();
  if (!finished.ok() && !answered) co_return finished;
  co_return absl::InternalError("the stream did not begin with its readiness");
}

Awaitable<absl::Status> RunHijacked(Exchange& http, AttachStream stream, HijackOptions options,
                                    std::function<Awaitable<void>()> after_end) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  auto over = std::make_shared<bool>(false);
  // The first to fail makes the other end too; both have ended when this goes on.
  absl::Status written = co_await (CopyOutput(http, stream, options, std::move(after_end), over) &&
                                   CopyInput(http, stream, options, over));
  co_return written;
}

absl::string_view HijackContentType(const ApiRequest& request, bool tty) {
  const bool named =
      !tty && request.version >= ApiVersion{1, 42} && !request.http.Header("Upgrade").empty();
  return named ? kMultiplexedStream : kRawStream;
}

}  // namespace slipway::gateway
