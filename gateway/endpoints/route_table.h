#ifndef GATEWAY_ENDPOINTS_ROUTE_TABLE_H_
#define GATEWAY_ENDPOINTS_ROUTE_TABLE_H_

#include "absl/strings/string_view.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/http/path_pattern.h"

namespace slipway::gateway {

struct Route {
  absl::string_view method;
  PathPattern pattern;
  // Null: Docker has it and we do not yet; `verb` says what it is.
  Handler handler = nullptr;
  absl::string_view verb;
};

struct RouteMatch {
  const Route* route = nullptr;
  absl::string_view variable;  // of the path that was looked up
};

// The endpoint for a method and a path without its version. No route where none fits. Pure.
RouteMatch FindRoute(absl::string_view method, absl::string_view path);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_ROUTE_TABLE_H_
