#include "gateway/endpoints/docker_app.h"

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/service/service.h"
#include "gateway/docker/http_error.h"
#include "gateway/http/url.h"

namespace slipway::gateway {

DockerApp::DockerApp(Backends& backends, BuildKitDoor& buildkit, RequestMetrics& metrics)
    : backends_(backends),
      buildkit_(buildkit),
      metrics_(metrics),
      common_headers_(absl::StrCat("Api-Version: ", kMaxApiVersionText,
                                   "\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
                                   "Server: Slipway/",
                                   slipway::Version(), " (linux)\r\n")) {}

Awaitable<void> DockerApp::Serve(Exchange& exchange) {
  exchange.SetCommonHeaders(common_headers_);
  const RequestMetrics::Timer timer = metrics_.Begin();
  absl::string_view route_name = "unknown";
  const absl::Status status = co_await Dispatch(exchange, route_name);
  if (!status.ok()) co_await AnswerError(exchange, status);
  metrics_.End(timer, exchange.method(), route_name, exchange.status());
}

Awaitable<absl::Status> DockerApp::Dispatch(Exchange& exchange, absl::string_view& route_name) {
  CO_ASSIGN_OR_RETURN(Target target, ParseTarget(exchange.target()));
  absl::string_view path = target.path;
  const std::optional<ApiVersion> version = TakeVersion(path);
  const RouteMatch match = version ? FindRoute(exchange.method(), path) : RouteMatch();
  if (match.route == nullptr) {
    co_return absl::NotFoundError("page not found");
  }
  route_name = match.route->pattern.text();
  CO_RETURN_IF_ERROR(CheckVersion(*version));
  if (match.route->handler == nullptr) {
    co_return absl::UnimplementedError(
        absl::StrCat(match.route->verb, " is not supported by this version of Slipway"));
  }
  ApiRequest request{.http = exchange,
                     .backends = backends_,
                     .buildkit = buildkit_,
                     .query = std::move(target.query),
                     .name = std::string(match.variable),
                     .version = *version};
  co_return co_await match.route->handler(request);
}

Awaitable<void> DockerApp::AnswerError(Exchange& exchange, const absl::Status& status) {
  const int http_status = HttpStatusOf(status);
  if (!exchange.started()) {
    if (http_status == 500) {
      Log(LogLevel::kError, status.message(),
          {{"method", std::string(exchange.method())},
           {"target", std::string(exchange.target())},
           {"request_id", exchange.request_id()}});
    }
    const std::string body = Exchange::ErrorBody(status.message());
    (void)co_await exchange.Send(http_status, "application/json", body);
    co_return;
  }
  // The client is gone, or sees a cut-off answer.
  exchange.Abort();
  if (!absl::IsUnavailable(status) && !absl::IsCancelled(status)) {
    Log(LogLevel::kWarning, "answer was cut off",
        {{"error", std::string(status.message())},
         {"target", std::string(exchange.target())},
         {"request_id", exchange.request_id()}});
  }
}

}  // namespace slipway::gateway
