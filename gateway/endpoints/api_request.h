#ifndef GATEWAY_ENDPOINTS_API_REQUEST_H_
#define GATEWAY_ENDPOINTS_API_REQUEST_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gateway/buildkit/door.h"
#include "gateway/clients/backends.h"
#include "gateway/docker/api_version.h"
#include "gateway/http/coroutine.h"
#include "gateway/http/exchange.h"
#include "gateway/http/url.h"

namespace slipway::gateway {

// A request of the Docker API, parsed as far as all endpoints need it. Lives as long as its
// handler runs, on the connection's I/O thread.
struct ApiRequest {
  Exchange& http;
  Backends& backends;
  BuildKitDoor& buildkit;
  Query query;
  std::string name;  // the path's variable
  ApiVersion version;

  CallOptions options() const { return {.request_id = http.request_id()}; }
  // For calls that wait for a container or a registry.
  CallOptions endless() const {
    return {.request_id = http.request_id(), .timeout = absl::InfiniteDuration()};
  }
};

// Answers, or returns what failed: the application makes Docker's error of it.
using Handler = Awaitable<absl::Status> (*)(ApiRequest&);

// Puts Docker's "No such <kind>: <name>" on a NotFound that does not say it.
absl::Status NameMissing(const absl::Status& status, absl::string_view kind,
                         absl::string_view name);

// Has the container service write an event of something that passes by it. Does not wait.
void Announce(ApiRequest& request, const std::string& container,
              slipway::container::v1::RecordAccessRequest::Action action,
              std::vector<std::pair<std::string, std::string>> attributes = {});

// The container by its id, prefix or name; Docker's words when there is none.
Awaitable<absl::StatusOr<slipway::container::v1::Container>> FindContainer(ApiRequest& request,
                                                                           bool with_size = false);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_API_REQUEST_H_
