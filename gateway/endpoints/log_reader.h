#ifndef GATEWAY_ENDPOINTS_LOG_READER_H_
#define GATEWAY_ENDPOINTS_LOG_READER_H_

#include <functional>
#include <string>

#include "gateway/docker/stdcopy.h"
#include "gateway/endpoints/api_request.h"

namespace slipway::gateway {

using LogStream = ReadStream<slipway::log::v1::ReadLogRequest, slipway::log::v1::ReadLogResponse>;

struct LogFormat {
  Framing framing = Framing::kMultiplexed;
  bool timestamps = false;
  std::string details;  // put before each line, with a space behind it
  // The last entry of the stream was not the end of its line.
  bool stdout_goes_on = false;
  bool stderr_goes_on = false;
};

// Asks the agent to ship what was written so far. What hinders it is logged: older output is still
// worth reading.
Awaitable<void> FlushLog(ApiRequest& request, const std::string& container_id);

// Opens the log of a container, cut as `format` needs it.
LogStream OpenLog(ApiRequest& request, slipway::log::v1::ReadLogRequest read,
                  const LogFormat& format);

// Appends the entries to `out` as `format` says, and keeps in it what the next batch needs.
void AppendEntries(const slipway::log::v1::ReadLogResponse& batch, LogFormat& format,
                   std::string& out);

// Takes what is to be sent to the client.
using LogSink = std::function<Awaitable<absl::Status>(absl::string_view)>;

// Sends what comes out of `stream` to `sink`, in large pieces, until either ends.
Awaitable<absl::Status> CopyLog(LogStream stream, LogFormat format, LogSink sink);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_LOG_READER_H_
