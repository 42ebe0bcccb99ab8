#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gateway/docker/event_json.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/times.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace cpb = slipway::container::v1;
namespace ipb = slipway::image::v1;
using slipway::common::v1::Event;
using Lines = asio::experimental::channel<void(error_code, std::string)>;

constexpr auto kRetryDelay = std::chrono::milliseconds(200);

// One GET /events. Lives on the connection's strand.
struct Session {
  Session(ApiRequest& request, const asio::any_io_executor& executor)
      : request(request), lines(executor, 64), until_timer(executor) {}

  ApiRequest& request;
  Filters filters;
  int64_t since_unix_ns = 0;
  int64_t until_unix_ns = 0;
  const int64_t began_unix_ns = absl::ToUnixNanos(absl::Now());
  bool bounded = false;  // `until` had passed when the session began
  bool past = false;     // `until` has passed: streams that are opened now stop at their end
  Lines lines;           // the empty one is the last
  std::vector<std::pair<int64_t, std::string>> history;  // of a bounded session: time, line
  asio::steady_timer until_timer;
  std::function<void()> cancel_containers = [] {};
  std::function<void()> cancel_images = [] {};
  int producers = 2;
  bool over = false;

  void Stop() {
    over = true;
    cancel_containers();
    cancel_images();
    until_timer.cancel();
    lines.cancel();
  }

  bool Passes(const Event& event) const {
    return event.time_unix_ns() >= since_unix_ns &&
           (until_unix_ns == 0 || event.time_unix_ns() <= until_unix_ns) &&
           EventPasses(event, filters);
  }
};

Awaitable<void> Emit(Session& session, const Event& event) {
  if (!session.Passes(event)) co_return;
  std::string line = EventToJson(event);
  if (session.bounded) {
    session.history.emplace_back(event.time_unix_ns(), std::move(line));
    co_return;
  }
  error_code ignored;
  co_await session.lines.async_send(error_code(), std::move(line), Into(ignored));
}

Awaitable<void> Pause(std::chrono::milliseconds delay) {
  asio::steady_timer timer(co_await asio::this_coro::executor, delay);
  error_code ignored;
  co_await timer.async_wait(Into(ignored));
}

using ContainerEvents = ReadStream<cpb::WatchEventsRequest, cpb::WatchEventsResponse>;

ContainerEvents OpenContainers(Session& session, uint64_t after_sequence) {
  cpb::WatchEventsRequest watch;
  watch.set_stop_at_end(session.past);
  if (after_sequence > 0) {
    watch.set_after_sequence(after_sequence);
  } else if (session.since_unix_ns > 0) {
    watch.set_since_unix_ns(session.since_unix_ns);
  } else if (session.bounded) {
    watch.set_since_unix_ns(1);
  } else {
    watch.set_only_new(true);
  }
  ApiRequest& request = session.request;
  ContainerEvents stream = request.backends.Read(
      request.backends.container(), &ContainerCalls::WatchEvents, watch, request.endless());
  session.cancel_containers = [stream] { stream->Cancel(); };
  return stream;
}

using ImageEvents = ReadStream<ipb::WatchImageEventsRequest, ipb::WatchImageEventsResponse>;

ImageEvents OpenImages(Session& session, uint64_t after_sequence) {
  ipb::WatchImageEventsRequest watch;
  watch.set_stop_at_end(session.past);
  watch.set_after_sequence(after_sequence);
  watch.set_only_new(after_sequence == 0 && session.since_unix_ns == 0 && !session.bounded);
  ApiRequest& request = session.request;
  ImageEvents stream = request.backends.Read(
      request.backends.image(), &ImageCalls::WatchImageEvents, watch, request.endless());
  session.cancel_images = [stream] { stream->Cancel(); };
  return stream;
}

// A watch outlives a restart of its service: it goes on behind the last event seen. When `until`
// has come it is opened once more, to the end of what was kept by then.
template <typename Response, typename Stream>
Awaitable<void> Watch(Session& session, Stream stream, Stream (*open)(Session&, uint64_t)) {
  uint64_t sequence = 0;
  while (true) {
    const bool last = session.past;
    Response response;
    while (co_await stream->Next(response)) {
      if (!response.has_event()) continue;
      sequence = response.event().sequence();
      co_await Emit(session, response.event());
    }
    const absl::Status finished = co_await stream->Finish();
    if (session.over || last) break;
    if (!session.past) {
      if (!absl::IsUnavailable(finished)) break;
      co_await Pause(kRetryDelay);
      if (session.over) break;
    }
    // Nothing was seen yet: what is new is what came since the session began.
    if (session.since_unix_ns == 0) session.since_unix_ns = session.began_unix_ns;
    stream = open(session, sequence);
  }
  if (--session.producers > 0) co_return;
  // Not close(), which drops what is still in the channel (Boost 1.81).
  error_code ignored;
  co_await session.lines.async_send(error_code(), std::string(), Into(ignored));
}

Awaitable<void> AwaitUntil(Session& session) {
  if (session.until_unix_ns == 0 || session.past) co_return;
  const int64_t left = session.until_unix_ns - absl::ToUnixNanos(absl::Now());
  session.until_timer.expires_after(std::chrono::nanoseconds(left));
  error_code error;
  co_await session.until_timer.async_wait(Into(error));
  if (error) co_return;
  session.past = true;
  session.cancel_containers();
  session.cancel_images();
}

Awaitable<absl::Status> SendLines(Session& session) {
  absl::Status written;
  while (written.ok()) {
    error_code error;
    const std::string line = co_await session.lines.async_receive(Into(error));
    if (error || line.empty()) break;
    written = co_await session.request.http.Write(line);
  }
  // Two services' logs in the order of time.
  std::stable_sort(session.history.begin(), session.history.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [time, line] : session.history) {
    if (written.ok()) written = co_await session.request.http.Write(line);
  }
  session.Stop();
  co_return written;
}

absl::Status ReadQuery(const Query& query, Session& session) {
  ASSIGN_OR_RETURN(session.since_unix_ns, ParseTimestamp("since", query.Get("since")));
  ASSIGN_OR_RETURN(session.until_unix_ns, ParseTimestamp("until", query.Get("until")));
  ASSIGN_OR_RETURN(session.filters, Filters::Parse(query.Get("filters")));
  RETURN_IF_ERROR(CheckEventFilters(session.filters));
  if (session.until_unix_ns != 0 && session.since_unix_ns > session.until_unix_ns) {
    return absl::InvalidArgumentError("`since` time cannot be after `until` time");
  }
  session.bounded = session.until_unix_ns != 0 && session.until_unix_ns <= session.began_unix_ns;
  session.past = session.bounded;
  return absl::OkStatus();
}

}  // namespace

Awaitable<absl::Status> SystemEvents(ApiRequest& request) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  Session session(request, co_await asio::this_coro::executor);
  CO_RETURN_IF_ERROR(ReadQuery(request.query, session));
  ContainerEvents stream = OpenContainers(session, 0);
  // The header tells the client that nothing is missed from here on.
  cpb::WatchEventsResponse first;
  const bool registered = co_await stream->Next(first);
  if (!registered) {
    const absl::Status finished = co_await stream->Finish();
    if (!finished.ok()) co_return finished;
  }
  CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
  request.http.WatchDisconnect([&session] { session.Stop(); });
  if (first.has_event()) co_await Emit(session, first.event());
  const absl::Status written =
      co_await (Watch<cpb::WatchEventsResponse>(session, std::move(stream), OpenContainers) &&
                Watch<ipb::WatchImageEventsResponse>(session, OpenImages(session, 0), OpenImages) &&
                AwaitUntil(session) && SendLines(session));
  CO_RETURN_IF_ERROR(written);
  co_return co_await request.http.EndStream();
}

}  // namespace slipway::gateway
