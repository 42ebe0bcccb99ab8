#include "gateway/endpoints/hijacked_stream.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "gateway/docker/detach_keys.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::agent::v1;

constexpr size_t kInputBytes = 32 << 10;
// What a client that sends no more, and leaves with that, still gets of the answers to its input:
// as long as they come at such intervals.
constexpr auto kQuiet = std::chrono::milliseconds(200);
constexpr auto kLongestStay = std::chrono::seconds(2);

// Shared by the two directions, which take turns on the connection's strand.
struct Session {
  Session(const asio::any_io_executor& executor, std::function<void()> leave)
      : changed(executor), leave(std::move(leave)) {}

  // Wakes who waits for `over` or `input_done`.
  void Change(bool Session::*what) {
    this->*what = true;
    changed.cancel();
  }

  bool over = false;
  bool input_done = false;  // the container has all of it
  uint64_t outputs = 0;
  asio::steady_timer changed;
  const std::function<void()> leave;  // ends the output
};
using SessionPtr = std::shared_ptr<Session>;

Awaitable<void> Wait(Session& session, std::chrono::milliseconds time) {
  session.changed.expires_after(time);
  error_code ignored;
  co_await session.changed.async_wait(Into(ignored));
}

// Input that was sent and not taken yet would be lost with a cancelled call.
Awaitable<void> AwaitInputDone(Session& session) {
  while (!session.over && !session.input_done) co_await Wait(session, std::chrono::hours(1));
}

Awaitable<void> AwaitAnswers(Session& session) {
  const auto until = std::chrono::steady_clock::now() + kLongestStay;
  while (!session.over && std::chrono::steady_clock::now() < until) {
    const uint64_t before = session.outputs;
    co_await Wait(session, kQuiet);
    if (session.outputs == before) co_return;
  }
}

// After the client's last input.
Awaitable<void> EndInput(Exchange& http, AttachStream stream, const HijackOptions& options,
                         SessionPtr session) {
  if (options.stdin) {
    pb::AttachRequest end;
    end.set_close_stdin(true);
    const bool taken = co_await stream->Write(std::move(end));
    if (!taken || session->over) co_return;
    if (options.tells_input_done) co_await AwaitInputDone(*session);
    if (!options.eof_closes_stdin) {
      co_await AwaitAnswers(*session);
      if (!session->over) session->leave();
      co_return;
    }
  }
  // Half-closed: the client still reads.
  co_await http.WaitForHangup();
  if (!session->over) session->leave();
}

// The client's input into the stream.
Awaitable<void> CopyInput(Exchange& http, AttachStream stream, HijackOptions options,
                          SessionPtr session) {
  DetachScanner scanner(options.detach_keys);
  while (!session->over) {
    pb::AttachRequest piece;
    std::string& data = *piece.mutable_stdin();
    data.resize(kInputBytes);
    auto count = co_await http.ReadRaw(data.data(), data.size());
    if (session->over) co_return;
    if (!count.ok() || *count == 0) break;
    if (!options.stdin) continue;
    data.resize(*count);
    const bool detached = scanner.Scan(data);
    const bool taken = data.empty() || co_await stream->Write(std::move(piece));
    if (!taken) co_return;
    if (!detached) continue;
    if (options.on_detach) options.on_detach();
    session->leave();
    co_return;
  }
  if (!session->over) co_await EndInput(http, stream, options, session);
}

// The client sees the end; then what waits for its input is woken.
void EndSession(Exchange& http, AttachStream stream, Session& session) {
  session.Change(&Session::over);
  error_code ignored;
  http.stream()->socket().shutdown(asio::socket_base::shutdown_send, ignored);
  http.stream()->cancel();
  stream->Cancel();
}

Awaitable<absl::Status> CopyOutput(Exchange& http, AttachStream stream, HijackOptions options,
                                   std::function<Awaitable<void>()> after_end, SessionPtr session) {
  pb::AttachResponse message;
  std::string out;
  absl::Status written;
  while (co_await stream->Next(message)) {
    if (message.has_output()) {
      ++session->outputs;
      // A client that reads no more may still have sent something.
      if (!written.ok()) continue;
      out.clear();
      AppendFrame(options.framing, message.output().stream(), message.output().data(), out);
      written = co_await http.WriteRaw(out);
    } else if (message.has_input_done()) {
      session->Change(&Session::input_done);
    } else if (message.has_end()) {
      if (after_end) co_await after_end();
      break;
    }
  }
  EndSession(http, stream, *session);
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
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto session = std::make_shared<Session>(executor, [stream] { stream->Cancel(); });
  // The first to fail makes the other end too; both have ended when this goes on.
  auto copy_output = CopyOutput(http, stream, options, std::move(after_end), session);
  auto copy_input = CopyInput(http, stream, options, session);
  absl::Status written = co_await (std::move(copy_output) && std::move(copy_input));
  co_return written;
}

Awaitable<absl::Status> RunHijacked(Exchange& http, AttachStream stream, HijackOptions options,
                                    const OtherOutput& output) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto session = std::make_shared<Session>(executor, [stream, &output] {
    output.cancel();
    stream->Cancel();
  });
  absl::Status written;
  const auto write = [&](absl::string_view piece) -> Awaitable<absl::Status> {
    ++session->outputs;
    // A client that reads no more may still have sent something.
    if (written.ok()) written = co_await http.WriteRaw(piece);
    co_return absl::OkStatus();
  };
  const auto copy = [&]() -> Awaitable<absl::Status> {
    absl::Status copied = co_await output.copy(write);
    EndSession(http, stream, *session);
    co_return copied;
  };
  const auto hear = [&]() -> Awaitable<void> {
    pb::AttachResponse message;
    while (co_await stream->Next(message)) {
      if (message.has_input_done()) session->Change(&Session::input_done);
    }
  };
  auto copy_output = copy();
  auto hear_agent = hear();
  auto copy_input = CopyInput(http, stream, options, session);
  absl::Status copied =
      co_await (std::move(copy_output) && std::move(hear_agent) && std::move(copy_input));
  co_return written.ok() ? copied : written;
}

absl::string_view HijackContentType(const ApiRequest& request, bool tty) {
  const bool named =
      !tty && request.version >= ApiVersion{1, 42} && !request.http.Header("Upgrade").empty();
  return named ? kMultiplexedStream : kRawStream;
}

}  // namespace slipway::gateway
