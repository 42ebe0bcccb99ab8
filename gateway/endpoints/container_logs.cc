#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "gateway/docker/log_details.h"
#include "gateway/docker/times.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/log_reader.h"

namespace slipway::gateway {
namespace {

namespace cpb = slipway::container::v1;
namespace pb = slipway::log::v1;

absl::StatusOr<pb::ReadLogRequest> ReadRequest(const Query& query) {
  pb::ReadLogRequest read;
  read.set_stdout(query.GetBool("stdout"));
  read.set_stderr(query.GetBool("stderr"));
  if (!read.stdout() && !read.stderr()) {
    return absl::InvalidArgumentError("Bad parameters: you must choose at least one stream");
  }
  ASSIGN_OR_RETURN(const int64_t since, ParseTimestamp("since", query.Get("since")));
  ASSIGN_OR_RETURN(const int64_t until, ParseTimestamp("until", query.Get("until")));
  read.set_since_unix_ns(since);
  read.set_until_unix_ns(until);
  // Docker takes what is no number for "all".
  int64_t tail = -1;
  if (!absl::SimpleAtoi(query.Get("tail"), &tail) || tail < 0) tail = -1;
  read.set_tail_lines(tail);
  read.set_follow(query.GetBool("follow"));
  return read;
}

}  // namespace

Awaitable<absl::Status> ContainerLogs(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(pb::ReadLogRequest read, ReadRequest(request.query));
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  if (container.spec().log().driver() == "none") {
    co_return absl::UnimplementedError("configured logging driver does not support reading");
  }
  read.set_container_id(container.id());
  const bool tty = container.spec().tty();
  LogFormat format{.framing = tty ? Framing::kRaw : Framing::kMultiplexed,
                   .timestamps = request.query.GetBool("timestamps")};
  if (request.query.GetBool("details")) format.details = LogDetails(container);
  co_await FlushLog(request, container.id());
  LogStream stream = OpenLog(request, std::move(read), format);
  Exchange& http = request.http;
  http.WatchDisconnect([stream] { stream->Cancel(); });
  const bool named = !tty && request.version >= ApiVersion{1, 42};
  CO_RETURN_IF_ERROR(co_await http.BeginStream(200, named ? kMultiplexedStream : kRawStream));
  const absl::Status copied = co_await CopyLog(
      stream, format, [&http](absl::string_view piece) { return http.Write(piece); });
  // A container that never ran has no log.
  if (!copied.ok() && !absl::IsNotFound(copied)) {
    if (absl::IsUnavailable(copied) || absl::IsCancelled(copied)) co_return copied;
    std::string out;
    AppendFrame(format.framing, slipway::common::v1::STD_STREAM_STDERR,
                absl::StrCat("Error grabbing logs: ", std::string(copied.message()), "\n"), out);
    CO_RETURN_IF_ERROR(co_await http.Write(out));
  }
  co_return co_await http.EndStream();
}

}  // namespace slipway::gateway
