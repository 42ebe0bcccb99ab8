#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/stats_json.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace cpb = slipway::container::v1;
namespace pb = slipway::agent::v1;

Awaitable<absl::Status> SendOnce(ApiRequest& request, const cpb::Container& container) {
  pb::WatchStatsRequest watch;
  watch.add_container_ids(container.id());
  watch.set_without_previous(request.query.GetBool("one-shot"));
  auto samples = request.backends.Read(request.backends.stream(), &StreamCalls::WatchStats, watch,
                                       request.endless());
  request.http.WatchDisconnect([samples] { samples->Cancel(); });
  pb::WatchStatsResponse sample;
  while (co_await samples->Next(sample)) {
    if (sample.containers().empty()) continue;
    co_return co_await request.http.SendJson(200,
                                             StatsToJson(sample.containers(0), container.name()));
  }
  const absl::Status finished = co_await samples->Finish();
  co_return finished.ok() ? absl::InternalError("no sample came") : finished;
}

}  // namespace

Awaitable<absl::Status> ContainerStats(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  if (!request.query.GetBool("stream", true)) co_return co_await SendOnce(request, container);
  const auto samples = std::make_shared<StatsHub::Subscription>(
      request.backends.stats(), container.id(), co_await asio::this_coro::executor);
  request.http.WatchDisconnect([samples] { samples->Cancel(); });
  while (const StatsHub::Sample sample = co_await samples->Next()) {
    // The stream of one that was removed ends.
    if (!sample->running() && !(co_await FindContainer(request)).ok()) break;
    if (!request.http.started()) {
      CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
    }
    const std::string line = json::serialize(StatsToJson(*sample, container.name())) + "\n";
    CO_RETURN_IF_ERROR(co_await request.http.Write(line));
  }
  if (!request.http.started()) co_return absl::UnavailableError("the host's agent is gone");
  co_return co_await request.http.EndStream();
}

Awaitable<absl::Status> ContainerTop(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  if (container.state().status() == cpb::CONTAINER_STATUS_RESTARTING) {
    co_return absl::FailedPreconditionError(absl::StrCat(
        "Container ", container.id(), " is restarting, wait until the container is running"));
  }
  if (container.state().pid() == 0) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("Container ", container.id(), " is not running"));
  }
  pb::ListProcessesRequest list;
  list.set_container_id(container.id());
  for (absl::string_view word :
       absl::StrSplit(request.query.Get("ps_args"), absl::ByAnyChar(" \t\n"), absl::SkipEmpty())) {
    list.add_ps_arguments(std::string(word));
  }
  const auto listed = co_await request.backends.Call(
      request.backends.stream(), &StreamCalls::ListProcesses, list, request.options());
  if (!listed.ok()) co_return NameMissing(listed.status(), "container", request.name);
  Announce(request, container.id(), cpb::RecordAccessRequest::ACTION_TOP);
  json::array processes;
  for (const pb::ProcessRow& row : listed->processes()) {
    json::array values;
    for (const std::string& value : row.values()) values.emplace_back(ValidUtf8(value));
    processes.push_back(std::move(values));
  }
  json::object answer;
  answer["Titles"] = StringArray(listed->titles());
  answer["Processes"] = std::move(processes);
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
