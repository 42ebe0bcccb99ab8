#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/network_json.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

constexpr absl::string_view kNetworks[] = {"bridge", "host", "none"};

Awaitable<absl::StatusOr<pb::ListContainersResponse>> RunningContainers(ApiRequest& request) {
  pb::ListContainersRequest running;
  co_return co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::ListContainers, running, request.options());
}

bool Passes(absl::string_view name, const Filters& filters) {
  const auto any = [&filters](const char* filter, auto fits) {
    const std::vector<std::string>& wanted = filters.Get(filter);
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), fits);
  };
  const std::string id = NetworkIdOf(name);
  return any("name", [&](const std::string& part) { return absl::StrContains(name, part); }) &&
         any("id", [&](const std::string& prefix) { return absl::StartsWith(id, prefix); }) &&
         filters.Allows("driver", name == "none" ? "null" : name) &&
         filters.Allows("scope", "local") && filters.Allows("type", "builtin") &&
         !filters.Has("label");
}

}  // namespace

Awaitable<absl::Status> NetworkList(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_RETURN_IF_ERROR(
      filters.CheckNames({"dangling", "driver", "id", "label", "name", "scope", "type"}));
  CO_ASSIGN_OR_RETURN(const std::optional<bool> dangling, filters.GetBool("dangling"));
  json::array answer;
  const pb::ListContainersResponse nobody;
  for (absl::string_view name : kNetworks) {
    // None of these can be removed for want of use.
    if (dangling.value_or(false) || !Passes(name, filters)) continue;
    answer.push_back(NetworkToJson(name, nobody));
  }
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> NetworkInspect(ApiRequest& request) {
  for (absl::string_view name : kNetworks) {
    const std::string id = NetworkIdOf(name);
    const bool is_prefix = request.name.size() >= 3 && absl::StartsWith(id, request.name);
    if (request.name != name && !is_prefix) continue;
    CO_ASSIGN_OR_RETURN(const auto containers, co_await RunningContainers(request));
    co_return co_await request.http.SendJson(200, NetworkToJson(name, containers));
  }
  co_return absl::NotFoundError(absl::StrCat("network ", request.name, " not found"));
}

}  // namespace slipway::gateway
