#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/docker/container_json.h"
#include "gateway/docker/create_host_config.h"
#include "gateway/docker/filters.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

constexpr absl::string_view kStatusWords[] = {"created",  "running", "paused", "restarting",
                                              "removing", "exited",  "dead"};
constexpr absl::string_view kHealthWords[] = {"none", "starting", "healthy", "unhealthy"};

absl::Status ReadStatuses(const Filters& filters, pb::ListContainersRequest& list) {
  for (const std::string& word : filters.Get("status")) {
    if (std::find(std::begin(kStatusWords), std::end(kStatusWords), word) ==
        std::end(kStatusWords)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid filter 'status=", word, "'"));
    }
    list.add_statuses(word);
    list.set_all(true);
  }
  for (const std::string& code : filters.Get("exited")) {
    int32_t number = 0;
    if (!absl::SimpleAtoi(code, &number)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid filter 'exited=", code, "'"));
    }
    list.add_exit_codes(number);
  }
  return absl::OkStatus();
}

absl::Status ReadHealth(const Filters& filters, pb::ListContainersRequest& list) {
  for (const std::string& word : filters.Get("health")) {
    if (std::find(std::begin(kHealthWords), std::end(kHealthWords), word) ==
        std::end(kHealthWords)) {
      return absl::InvalidArgumentError(
          absl::StrCat("Unrecognised filter value for health: ", word));
    }
    list.add_health(word);
  }
  return absl::OkStatus();
}

// As dockerd: the numbers must be some, and an unknown protocol fits nothing.
absl::Status CheckPorts(const Filters& filters, absl::string_view name) {
  for (const std::string& text : filters.Get(name)) {
    if (absl::StrContains(text, ':')) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter for '", name, "' should not contain ':': ", text));
    }
    const absl::Status parsed = ParsePort(text.substr(0, text.find('/'))).status();
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("error while looking up for ", name, " ", text, ": ", parsed.message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<pb::ListContainersRequest> ListRequest(const Query& query, const Filters& filters) {
  RETURN_IF_ERROR(filters.CheckNames({"ancestor", "before", "exited", "expose", "health", "id",
                                      "is-task", "isolation", "label", "name", "network", "publish",
                                      "since", "status", "volume"}));
  pb::ListContainersRequest list;
  list.set_all(query.GetBool("all"));
  ASSIGN_OR_RETURN(const std::optional<int64_t> limit, query.GetInt("limit"));
  if (limit && *limit > 0) list.set_limit(static_cast<int32_t>(std::min<int64_t>(*limit, 1 << 30)));
  list.set_with_size(query.GetBool("size"));
  for (const std::string& id : filters.Get("id")) list.add_ids(id);
  for (const std::string& name : filters.Get("name")) list.add_names(name);
  for (const std::string& label : filters.Get("label")) list.add_labels(label);
  for (const std::string& image : filters.Get("ancestor")) list.add_ancestors(image);
  for (const std::string& network : filters.Get("network")) list.add_networks(network);
  // API parameters of old clients have the same names.
  list.set_before(filters.Has("before") ? filters.Get("before").front() : query.Get("before"));
  list.set_since(filters.Has("since") ? filters.Get("since").front() : query.Get("since"));
  RETURN_IF_ERROR(ReadStatuses(filters, list));
  RETURN_IF_ERROR(ReadHealth(filters, list));
  for (const char* name : {"publish", "expose"}) RETURN_IF_ERROR(CheckPorts(filters, name));
  return list;
}

// Whether a filter on ports (`publish`, `expose`) names `port`.
bool PortFits(const std::vector<std::string>& wanted, uint32_t port, absl::string_view protocol) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
    const absl::StatusOr<PortRange> range = ParsePort(text);
    return range.ok() && range->protocol == protocol && port >= range->first && port <= range->last;
  });
}

bool IsPublished(const pb::Container& container, const std::vector<std::string>& wanted) {
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    for (const pb::PortBinding& port : endpoint.ports()) {
      if (PortFits(wanted, port.host_port(), port.protocol())) return true;
    }
  }
  return false;
}

bool IsExposed(const pb::Container& container, const std::vector<std::string>& wanted) {
  for (const auto* list :
       {&container.effective_config().exposed_ports(), &container.spec().exposed_ports()}) {
    for (const std::string& text : *list) {
      const absl::StatusOr<PortRange> port = ParsePort(text);
      if (port.ok() && PortFits(wanted, port->first, port->protocol)) return true;
    }
  }
  return false;
}

bool HasVolume(const pb::Container& container, const std::vector<std::string>& wanted) {
  for (const pb::Mount& mount : container.spec().mounts()) {
    for (const std::string& name : wanted) {
      if (mount.source() == name || mount.target() == name) return true;
    }
  }
  return false;
}

// The filters that only Docker's API has.
bool Passes(const pb::Container& container, const Filters& filters) {
  return (!filters.Has("publish") || IsPublished(container, filters.Get("publish"))) &&
         (!filters.Has("expose") || IsExposed(container, filters.Get("expose"))) &&
         (!filters.Has("volume") || HasVolume(container, filters.Get("volume"))) &&
         filters.Allows("isolation", "default");
}

}  // namespace

Awaitable<absl::Status> ContainerList(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_ASSIGN_OR_RETURN(const pb::ListContainersRequest list, ListRequest(request.query, filters));
  CO_ASSIGN_OR_RETURN(const std::optional<bool> is_task, filters.GetBool("is-task"));
  json::array answer;
  if (is_task.value_or(false)) co_return co_await request.http.SendJson(200, answer);
  CO_ASSIGN_OR_RETURN(
      const auto listed,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::ListContainers,
                                     list, request.options()));
  const int64_t now = absl::ToUnixNanos(absl::Now());
  for (const pb::Container& container : listed.containers()) {
    if (Passes(container, filters)) answer.push_back(ContainerSummaryToJson(container, now));
  }
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
