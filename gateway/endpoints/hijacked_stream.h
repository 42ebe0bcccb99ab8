#ifndef GATEWAY_ENDPOINTS_HIJACKED_STREAM_H_
#define GATEWAY_ENDPOINTS_HIJACKED_STREAM_H_

#include <functional>
#include <string>

#include "gateway/docker/stdcopy.h"
#include "gateway/endpoints/api_request.h"

namespace slipway::gateway {

using AttachStream =
    BidiStream<slipway::agent::v1::AttachRequest, slipway::agent::v1::AttachResponse>;

struct HijackOptions {
  Framing framing = Framing::kMultiplexed;
  bool stdin = false;
  // What the end of the client's input means: the end of the process's input, or that the client
  // leaves.
  bool eof_closes_stdin = true;
  // The stream tells when it has taken all input.
  bool tells_input_done = false;
  // Bytes by which the client leaves a terminal; none: there are none.
  std::string detach_keys;
  // Called when it did so.
  std::function<void()> on_detach;
};

// Sends the first message and waits until nothing of the output is missed any more. The error is
// the call's.
Awaitable<absl::StatusOr<slipway::agent::v1::AttachReady>> BeginAttach(
    AttachStream stream, slipway::agent::v1::AttachStart start);

// Moves bytes between a hijacked connection and the stream, in both directions and with
// back-pressure, until the stream ends or the client is gone. The client has seen its end
// afterwards. `after_end` runs when the process has ended, before the client sees it. The exchange
// needs no more.
Awaitable<absl::Status> RunHijacked(Exchange& http, AttachStream stream, HijackOptions options,
                                    std::function<Awaitable<void>()> after_end);

// Output that comes from elsewhere than from the stream. `copy` gives it to the function, until
// there is no more or `cancel` was called.
struct OtherOutput {
  std::function<Awaitable<absl::Status>(std::function<Awaitable<absl::Status>(absl::string_view)>)>
      copy;
  std::function<void()> cancel;
};
// The same with the stream for input alone. Ends with the output.
Awaitable<absl::Status> RunHijacked(Exchange& http, AttachStream stream, HijackOptions options,
                                    const OtherOutput& output);

// Content-Type of a hijacked connection.
absl::string_view HijackContentType(const ApiRequest& request, bool tty);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_HIJACKED_STREAM_H_
