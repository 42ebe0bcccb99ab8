#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/json_fields.h"
#include "gateway/docker/restart_policy.h"
#include "gateway/docker/times.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::StatusOr<pb::UpdateContainerRequest> UpdateFromJson(const json::value& body) {
  if (!body.is_object()) {
    return absl::InvalidArgumentError("invalid JSON: update must be an object");
  }
  JsonFields fields(body.get_object(), "");
  pb::UpdateContainerRequest update;
  pb::Resources& resources = *update.mutable_resources();
  resources.set_nano_cpus(fields.Int("NanoCpus"));
  resources.set_cpu_shares(fields.Int("CpuShares"));
  resources.set_cpu_quota_us(fields.Int("CpuQuota"));
  resources.set_cpu_period_us(fields.Int("CpuPeriod"));
  resources.set_cpuset_cpus(fields.String("CpusetCpus"));
  resources.set_cpuset_mems(fields.String("CpusetMems"));
  resources.set_memory_bytes(fields.Int("Memory"));
  resources.set_memory_swap_bytes(fields.Int("MemorySwap"));
  resources.set_memory_reservation_bytes(fields.Int("MemoryReservation"));
  resources.set_kernel_memory_bytes(fields.Int("KernelMemory"));
  const int64_t weight = fields.Int("BlkioWeight");
  if (weight != 0 && (weight < 10 || weight > 1000)) {
    fields.Fail("BlkioWeight", absl::StrCat(weight, " is not in [10, 1000]"));
  }
  resources.set_blkio_weight(static_cast<uint32_t>(weight));
  if (const auto pids = fields.OptionalInt("PidsLimit"); pids.has_value()) {
    update.set_pids_limit(*pids);
  }
  for (const char* name : {"CpuRealtimePeriod", "CpuRealtimeRuntime", "Devices",
                           "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
                           "BlkioDeviceWriteIOps", "BlkioWeightDevice"}) {
    fields.Refuse(name);
  }
  RETURN_IF_ERROR(fields.status());
  ASSIGN_OR_RETURN(const auto policy, ReadRestartPolicy(fields));
  // Clients send one without a name when they change none.
  const json::object* given = fields.Object("RestartPolicy");
  if (policy.has_value() && !JsonFields(*given, "RestartPolicy").String("Name").empty()) {
    *update.mutable_restart_policy() = *policy;
  }
  return update;
}

// "24h", "10m", a time stamp: before when.
absl::StatusOr<int64_t> ParseUntil(const std::string& text) {
  absl::Duration ago;
  if (absl::ParseDuration(text, &ago)) return absl::ToUnixNanos(absl::Now() - ago);
  return ParseTimestamp("until", text);
}

absl::StatusOr<pb::PruneContainersRequest> PruneFromFilters(const Filters& filters) {
  RETURN_IF_ERROR(filters.CheckNames({"label", "label!", "until"}));
  pb::PruneContainersRequest prune;
  for (const std::string& label : filters.Get("label")) prune.add_labels(label);
  for (const std::string& label : filters.Get("label!")) prune.add_not_labels(label);
  const std::vector<std::string>& until = filters.Get("until");
  if (until.size() > 1) {
    return absl::InvalidArgumentError("more than one until filter specified");
  }
  if (until.empty()) return prune;
  ASSIGN_OR_RETURN(const int64_t before, ParseUntil(until.front()));
  prune.set_until_unix_ns(before);
  return prune;
}

}  // namespace

Awaitable<absl::Status> ContainerPause(ApiRequest& request) {
  pb::PauseContainerRequest pause;
  pause.set_container(request.name);
  const auto paused = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::PauseContainer, pause, request.options());
  if (!paused.ok()) co_return NameMissing(paused.status(), "container", request.name);
  co_return co_await request.http.SendEmpty(204);
}

Awaitable<absl::Status> ContainerUnpause(ApiRequest& request) {
  pb::UnpauseContainerRequest unpause;
  unpause.set_container(request.name);
  const auto thawed = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::UnpauseContainer, unpause, request.options());
  if (!thawed.ok()) co_return NameMissing(thawed.status(), "container", request.name);
  co_return co_await request.http.SendEmpty(204);
}

Awaitable<absl::Status> ContainerUpdate(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  CO_ASSIGN_OR_RETURN(pb::UpdateContainerRequest update, UpdateFromJson(body));
  update.set_container(request.name);
  const auto updated = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::UpdateContainer, update, request.options());
  if (!updated.ok()) co_return NameMissing(updated.status(), "container", request.name);
  json::object answer;
  answer["Warnings"] =
      updated->warnings().empty() ? json::value(nullptr) : StringArray(updated->warnings());
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> ContainerPrune(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_ASSIGN_OR_RETURN(const pb::PruneContainersRequest prune, PruneFromFilters(filters));
  CO_ASSIGN_OR_RETURN(
      const auto pruned,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::PruneContainers,
                                     prune, request.endless()));
  json::object answer;
  answer["ContainersDeleted"] =
      pruned.container_ids().empty() ? json::value(nullptr) : StringArray(pruned.container_ids());
  answer["SpaceReclaimed"] = pruned.freed_bytes();
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
