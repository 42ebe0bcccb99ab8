#include "gateway/endpoints/log_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::log::v1;

}  // namespace

Awaitable<void> FlushLog(ApiRequest& request, const std::string& container_id) {
  slipway::agent::v1::FlushLogRequest flush;
  flush.set_container_id(container_id);
  CallOptions options = request.options();
  // The agent gives up by itself when nothing moves.
  options.timeout = absl::Seconds(120);
  const auto flushed = co_await request.backends.Call(
      request.backends.stream(), &StreamCalls::FlushLog, flush, std::move(options));
  if (!flushed.ok() && !absl::IsNotFound(flushed.status())) {
    Log(LogLevel::kWarning, "log was not flushed before it is read",
        {{"container", container_id}, {"error", std::string(flushed.status().message())}});
  }
}

LogStream OpenLog(ApiRequest& request, pb::ReadLogRequest read, const LogFormat& format) {
  const bool by_line = format.timestamps || !format.details.empty();
  read.set_cut(by_line ? pb::ReadLogRequest::CUT_LINES : pb::ReadLogRequest::CUT_CHUNKS);
  return request.backends.Read(request.backends.log(), &LogCalls::ReadLog, std::move(read),
                               request.endless());
}

void AppendEntries(const pb::ReadLogResponse& batch, LogFormat& format, std::string& out) {
  std::string head;
  for (const pb::LogEntry& entry : batch.entries()) {
    head.clear();
    bool& inside_line = entry.stream() == slipway::common::v1::STD_STREAM_STDERR
                            ? format.stderr_goes_on
                            : format.stdout_goes_on;
    // A line in pieces has one time stamp.
    const bool begins = !std::exchange(inside_line, entry.continued());
    if (format.timestamps && begins) {
      head = Rfc3339NanoFixed(entry.time_unix_ns());
      head += ' ';
    }
    if (begins) head += format.details;
    if (entry.dropped_bytes() > 0) {
      const std::string text =
          absl::StrCat("[", entry.dropped_bytes(), " bytes of output were dropped here]\n");
      AppendFrame(format.framing, entry.stream(), head, text, out);
    } else {
      AppendFrame(format.framing, entry.stream(), head, entry.data(), out);
    }
  }
}

Awaitable<absl::Status> CopyLog(LogStream stream, LogFormat format, LogSink sink) {
  pb::ReadLogResponse batch;
  std::string out;
  while (co_await stream->Next(batch)) {
    out.clear();
    AppendEntries(batch, format, out);
    CO_RETURN_IF_ERROR(co_await sink(out));
  }
  co_return co_await stream->Finish();
}

}  // namespace slipway::gateway
