#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gateway/docker/create_network.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/network_json.h"
#include "gateway/docker/until_filter.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

// Part of a name, or anchored: "^web$".
bool MatchesName(absl::string_view name, absl::string_view wanted) {
  const bool from_start = absl::ConsumePrefix(&wanted, "^");
  const bool to_end = absl::ConsumeSuffix(&wanted, "$");
  if (from_start && to_end) return name == wanted;
  if (from_start) return absl::StartsWith(name, wanted);
  if (to_end) return absl::EndsWith(name, wanted);
  return absl::StrContains(name, wanted);
}

bool Passes(const pb::NetworkSummary& summary, const Filters& filters,
            const std::optional<bool>& dangling) {
  const pb::VirtualNetwork& network = summary.network();
  const auto any = [&filters](const char* filter, auto fits) {
    const std::vector<std::string>& wanted = filters.Get(filter);
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), fits);
  };
  if (dangling.has_value()) {
    const bool unused = !network.builtin() && summary.container_count() == 0;
    if (unused != *dangling) return false;
  }
  return any("name",
             [&](const std::string& wanted) { return MatchesName(network.name(), wanted); }) &&
         any("id",
             [&](const std::string& prefix) { return absl::StartsWith(network.id(), prefix); }) &&
         filters.Allows("driver", network.driver()) && filters.Allows("scope", "local") &&
         filters.Allows("type", network.builtin() ? "builtin" : "custom") &&
         filters.AllowsLabels(network.labels());
}

}  // namespace

Awaitable<absl::Status> NetworkList(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_RETURN_IF_ERROR(
      filters.CheckNames({"dangling", "driver", "id", "label", "name", "scope", "type"}));
  CO_ASSIGN_OR_RETURN(const std::optional<bool> dangling, filters.GetBool("dangling"));
  for (const std::string& type : filters.Get("type")) {
    if (type == "builtin" || type == "custom") continue;
    co_return absl::InvalidArgumentError(absl::StrCat("Invalid filter: 'type'='", type, "'"));
  }
  CO_ASSIGN_OR_RETURN(
      const pb::ListNetworksResponse listed,
      co_await request.backends.Call(request.backends.networks(), &NetworkCalls::ListNetworks,
                                     pb::ListNetworksRequest(), request.options()));
  json::array answer;
  for (const pb::NetworkSummary& summary : listed.networks()) {
    if (Passes(summary, filters, dangling)) answer.push_back(NetworkToJson(summary.network(), {}));
  }
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> NetworkInspect(ApiRequest& request) {
  const std::string scope = request.query.Get("scope");
  if (!scope.empty() && scope != "local") {
    co_return absl::NotFoundError(absl::StrCat("network ", request.name, " not found"));
  }
  pb::GetNetworkRequest get;
  get.set_network(request.name);
  CO_ASSIGN_OR_RETURN(
      const pb::GetNetworkResponse found,
      co_await request.backends.Call(request.backends.networks(), &NetworkCalls::GetNetwork, get,
                                     request.options()));
  co_return co_await request.http.SendJson(200, NetworkToJson(found.network(), found.containers()));
}

Awaitable<absl::Status> NetworkCreate(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  pb::CreateNetworkRequest create;
  CO_ASSIGN_OR_RETURN(*create.mutable_network(), NetworkFromJson(body));
  CO_ASSIGN_OR_RETURN(
      const pb::CreateNetworkResponse created,
      co_await request.backends.Call(request.backends.networks(), &NetworkCalls::CreateNetwork,
                                     std::move(create), request.options()));
  json::object answer;
  answer["Id"] = created.id();
  answer["Warning"] = created.warning();
  co_return co_await request.http.SendJson(201, answer);
}

Awaitable<absl::Status> NetworkDelete(ApiRequest& request) {
  pb::RemoveNetworkRequest remove;
  remove.set_network(request.name);
  CO_RETURN_IF_ERROR(
      (co_await request.backends.Call(request.backends.networks(), &NetworkCalls::RemoveNetwork,
                                      remove, request.options()))
          .status());
  co_return co_await request.http.SendEmpty(204);
}

Awaitable<absl::Status> NetworkPrune(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_RETURN_IF_ERROR(filters.CheckNames({"label", "label!", "until"}));
  pb::PruneNetworksRequest prune;
  for (const std::string& label : filters.Get("label")) prune.add_labels(label);
  for (const std::string& label : filters.Get("label!")) prune.add_not_labels(label);
  CO_ASSIGN_OR_RETURN(const int64_t until, ReadUntil(filters, absl::ToUnixNanos(absl::Now())));
  prune.set_until_unix_ns(until);
  CO_ASSIGN_OR_RETURN(
      const pb::PruneNetworksResponse pruned,
      co_await request.backends.Call(request.backends.networks(), &NetworkCalls::PruneNetworks,
                                     prune, request.endless()));
  json::object answer;
  answer["NetworksDeleted"] =
      pruned.names().empty() ? json::value(nullptr) : StringArray(pruned.names());
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> NetworkConnect(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  CO_ASSIGN_OR_RETURN(pb::ConnectNetworkRequest connect, ConnectFromJson(body));
  connect.set_network(request.name);
  CO_RETURN_IF_ERROR(
      (co_await request.backends.Call(request.backends.networks(), &NetworkCalls::ConnectNetwork,
                                      std::move(connect), request.options()))
          .status());
  co_return co_await request.http.SendEmpty(200);
}

Awaitable<absl::Status> NetworkDisconnect(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  CO_ASSIGN_OR_RETURN(pb::DisconnectNetworkRequest disconnect, DisconnectFromJson(body));
  disconnect.set_network(request.name);
  CO_RETURN_IF_ERROR(
      (co_await request.backends.Call(request.backends.networks(), &NetworkCalls::DisconnectNetwork,
                                      std::move(disconnect), request.options()))
          .status());
  co_return co_await request.http.SendEmpty(200);
}

}  // namespace slipway::gateway
