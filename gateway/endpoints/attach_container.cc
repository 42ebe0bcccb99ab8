#include "absl/strings/str_cat.h"
#include "gateway/docker/detach_keys.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/hijacked_stream.h"
#include "gateway/endpoints/log_reader.h"

namespace slipway::gateway {
namespace {

namespace cpb = slipway::container::v1;

slipway::log::v1::ReadLogRequest WholeLog(const ApiRequest& request,
                                          const cpb::Container& container) {
  slipway::log::v1::ReadLogRequest read;
  read.set_container_id(container.id());
  read.set_stdout(request.query.GetBool("stdout"));
  read.set_stderr(request.query.GetBool("stderr"));
  read.set_tail_lines(-1);
  return read;
}

// What was written so far (`until`: by then), for logs=1.
Awaitable<absl::Status> Replay(ApiRequest& request, const cpb::Container& container,
                               int64_t until_unix_ns, Framing framing) {
  slipway::log::v1::ReadLogRequest read = WholeLog(request, container);
  read.set_until_unix_ns(until_unix_ns);
  co_await FlushLog(request, container.id());
  const LogFormat format{.framing = framing};
  LogStream stream = OpenLog(request, std::move(read), format);
  Exchange& http = request.http;
  const absl::Status copied = co_await CopyLog(
      stream, format, [&http](absl::string_view piece) { return http.WriteRaw(piece); });
  if (absl::IsNotFound(copied)) co_return absl::OkStatus();
  co_return copied;
}

// Old and new output of a container that runs, without a seam: all of it comes from its log.
Awaitable<absl::Status> FollowLog(ApiRequest& request, const cpb::Container& container,
                                  AttachStream stream, HijackOptions options) {
  slipway::log::v1::ReadLogRequest read = WholeLog(request, container);
  read.set_follow(true);
  co_await FlushLog(request, container.id());
  const LogFormat format{.framing = options.framing};
  LogStream log = OpenLog(request, std::move(read), format);
  const OtherOutput output{
      .copy = [log, format](LogSink sink) { return CopyLog(log, format, sink); },
      .cancel = [log] { log->Cancel(); }};
  const absl::Status run = co_await RunHijacked(request.http, stream, options, output);
  // Its own end by `cancel`.
  co_return absl::IsCancelled(run) ? absl::OkStatus() : run;
}

bool HasLog(const cpb::Container& container) { return container.spec().log().driver() != "none"; }

absl::Status CheckState(const cpb::Container& container) {
  if (container.state().status() == cpb::CONTAINER_STATUS_PAUSED) {
    return absl::FailedPreconditionError(absl::StrCat(
        "container ", container.id(), " is paused, unpause the container before attach"));
  }
  if (container.state().status() == cpb::CONTAINER_STATUS_RESTARTING) {
    return absl::FailedPreconditionError(absl::StrCat(
        "container ", container.id(), " is restarting, wait until the container is running"));
  }
  return absl::OkStatus();
}

}  // namespace

Awaitable<absl::Status> ContainerAttach(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  CO_RETURN_IF_ERROR(CheckState(container));
  const cpb::ContainerSpec& spec = container.spec();
  const Framing framing = spec.tty() ? Framing::kRaw : Framing::kMultiplexed;
  const bool live = request.query.GetBool("stream");
  const absl::string_view content_type = HijackContentType(request, spec.tty());
  CO_ASSIGN_OR_RETURN(const std::string keys, ParseDetachKeys(request.query.Get("detachKeys")));
  HijackOptions options{.framing = framing,
                        .stdin = request.query.GetBool("stdin") && spec.open_stdin(),
                        .eof_closes_stdin = spec.stdin_once() && !spec.tty(),
                        .tells_input_done = true};
  if (spec.tty()) options.detach_keys = keys;
  options.on_detach = [&request, &container] {
    Announce(request, container.id(), cpb::RecordAccessRequest::ACTION_DETACH);
  };
  if (!live) {
    CO_RETURN_IF_ERROR(co_await request.http.Hijack(content_type));
    if (!request.query.GetBool("logs")) co_return absl::OkStatus();
    co_return co_await Replay(request, container, 0, framing);
  }
  const bool replays = request.query.GetBool("logs") && HasLog(container);
  const bool follows = replays && container.state().pid() != 0;
  slipway::agent::v1::AttachStart start;
  start.set_id(container.id());
  start.set_stdin(options.stdin);
  start.set_stdout(!follows && request.query.GetBool("stdout"));
  start.set_stderr(!follows && request.query.GetBool("stderr"));
  AttachStream stream = request.backends.Bidi(request.backends.stream(),
                                              &StreamCalls::AttachContainer, request.endless());
  const auto ready = co_await BeginAttach(stream, std::move(start));
  if (!ready.ok()) co_return NameMissing(ready.status(), "container", request.name);
  Announce(request, container.id(), cpb::RecordAccessRequest::ACTION_ATTACH);
  CO_RETURN_IF_ERROR(co_await request.http.Hijack(content_type));
  if (follows) co_return co_await FollowLog(request, container, stream, options);
  if (replays && container.state().finished_unix_ns() != 0) {
    // Of the runs before the one that the client waits for.
    CO_RETURN_IF_ERROR(
        co_await Replay(request, container, container.state().finished_unix_ns(), framing));
  }
  co_return co_await RunHijacked(request.http, stream, options, nullptr);
}

}  // namespace slipway::gateway
