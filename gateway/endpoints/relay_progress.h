#ifndef GATEWAY_ENDPOINTS_RELAY_PROGRESS_H_
#define GATEWAY_ENDPOINTS_RELAY_PROGRESS_H_

#include <functional>
#include <string>

#include "gateway/docker/progress.h"
#include "gateway/endpoints/api_request.h"

namespace slipway::gateway {

// Sends the answers of a pull or push to the client, each as `messages` writes it. A failure after
// the first one is a message itself, as Docker does it; before, it is returned.
template <typename Request, typename Response>
Awaitable<absl::Status> RelayProgress(
    Exchange& http, ReadStream<Request, Response> stream,
    std::function<std::string(const Response&)> messages,
    std::function<absl::Status(const absl::Status&)> error_of = nullptr) {
  Response response;
  while (co_await stream->Next(response)) {
    if (!http.started()) CO_RETURN_IF_ERROR(co_await http.BeginStream(200, "application/json"));
    const std::string text = messages(response);
    CO_RETURN_IF_ERROR(co_await http.Write(text));
  }
  absl::Status finished = co_await stream->Finish();
  if (!finished.ok()) {
    if (error_of) finished = error_of(finished);
    if (!http.started()) co_return finished;
    const std::string message =
        ErrorMessage(absl::string_view(finished.message().data(), finished.message().size()));
    CO_RETURN_IF_ERROR(co_await http.Write(message));
  }
  if (!http.started()) CO_RETURN_IF_ERROR(co_await http.BeginStream(200, "application/json"));
  co_return co_await http.EndStream();
}

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_RELAY_PROGRESS_H_
