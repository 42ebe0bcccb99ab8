#ifndef GATEWAY_WEB_WEB_APP_H_
#define GATEWAY_WEB_WEB_APP_H_

#include <string>

#include "base/metrics/metrics.h"
#include "gateway/clients/backends.h"
#include "gateway/http/application.h"
#include "gateway/http/request_metrics.h"

namespace slipway::gateway {

// The HTTP door for people and Prometheus: "/" is a page with the containers, "/metrics" the
// gateway's figures, "/healthz" says that it runs. It reads only, because it asks nobody who they
// are, and answers only requests for this machine by address or as localhost (a web page elsewhere
// could reach it through a name of its own otherwise). Thread-safe.
class WebApp : public Application {
 public:
  // All outlive the application.
  WebApp(Backends& backends, Metrics& metrics, RequestMetrics& request_metrics)
      : backends_(backends), metrics_(metrics), request_metrics_(request_metrics) {}

  Awaitable<void> Serve(Exchange& exchange) override;

 private:
  Awaitable<absl::Status> Dispatch(Exchange& exchange, absl::string_view& route_name);
  Awaitable<std::string> StatusPage(Exchange& exchange);

  Backends& backends_;
  Metrics& metrics_;
  RequestMetrics& request_metrics_;
};

// Whether a Host header names an address or localhost. Pure.
bool IsLocalHostHeader(absl::string_view host);

}  // namespace slipway::gateway

#endif  // GATEWAY_WEB_WEB_APP_H_
