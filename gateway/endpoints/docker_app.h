#ifndef GATEWAY_ENDPOINTS_DOCKER_APP_H_
#define GATEWAY_ENDPOINTS_DOCKER_APP_H_

#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "gateway/buildkit/door.h"
#include "gateway/clients/backends.h"
#include "gateway/endpoints/route_table.h"
#include "gateway/http/application.h"
#include "gateway/http/request_metrics.h"

namespace slipway::gateway {

// The Docker Engine API. Thread-safe.
class DockerApp : public Application {
 public:
  // All outlive the application.
  DockerApp(Backends& backends, BuildKitDoor& buildkit, RequestMetrics& metrics);

  Awaitable<void> Serve(Exchange& exchange) override;

 private:
  Awaitable<absl::Status> Dispatch(Exchange& exchange, absl::string_view& route_name);
  Awaitable<void> AnswerError(Exchange& exchange, const absl::Status& status);

  Backends& backends_;
  BuildKitDoor& buildkit_;
  RequestMetrics& metrics_;
  const std::string common_headers_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_DOCKER_APP_H_
