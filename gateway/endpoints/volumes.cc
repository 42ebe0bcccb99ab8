#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "gateway/docker/filters.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/volume_json.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

// From here on a prune takes anonymous volumes only, unless all are meant.
constexpr ApiVersion kPrunesAnonymous = {1, 42};

absl::StatusOr<pb::ListVolumesRequest> ListFromFilters(const Filters& filters) {
  RETURN_IF_ERROR(filters.CheckNames({"dangling", "driver", "label", "name"}));
  pb::ListVolumesRequest list;
  ASSIGN_OR_RETURN(const std::optional<bool> dangling, filters.GetBool("dangling"));
  if (dangling.has_value()) list.set_dangling(*dangling);
  for (const std::string& label : filters.Get("label")) list.add_labels(label);
  for (const std::string& name : filters.Get("name")) list.add_names(name);
  return list;
}

absl::StatusOr<pb::PruneVolumesRequest> PruneFromFilters(const Filters& filters,
                                                         ApiVersion version) {
  RETURN_IF_ERROR(filters.CheckNames({"all", "label", "label!"}));
  pb::PruneVolumesRequest prune;
  ASSIGN_OR_RETURN(const std::optional<bool> all, filters.GetBool("all"));
  prune.set_all(all.value_or(version < kPrunesAnonymous));
  for (const std::string& label : filters.Get("label")) prune.add_labels(label);
  for (const std::string& label : filters.Get("label!")) prune.add_not_labels(label);
  return prune;
}

}  // namespace

Awaitable<absl::Status> VolumeList(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_ASSIGN_OR_RETURN(const pb::ListVolumesRequest list, ListFromFilters(filters));
  CO_ASSIGN_OR_RETURN(const auto listed, co_await request.backends.Call(request.backends.volume(),
                                                                        &VolumeCalls::ListVolumes,
                                                                        list, request.options()));
  json::array volumes;
  for (const pb::Volume& volume : listed.volumes()) {
    if (filters.Allows("driver", volume.driver())) volumes.push_back(VolumeToJson(volume));
  }
  json::object answer;
  answer["Volumes"] = std::move(volumes);
  answer["Warnings"] = nullptr;
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> VolumeCreate(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson(/*optional=*/true));
  CO_ASSIGN_OR_RETURN(const pb::CreateVolumeRequest create,
                      VolumeFromJson(body.is_null() ? json::value(json::object()) : body));
  CO_ASSIGN_OR_RETURN(const auto made, co_await request.backends.Call(request.backends.volume(),
                                                                      &VolumeCalls::CreateVolume,
                                                                      create, request.options()));
  co_return co_await request.http.SendJson(201, VolumeToJson(made.volume()));
}

Awaitable<absl::Status> VolumeInspect(ApiRequest& request) {
  pb::GetVolumeRequest get;
  get.set_name(request.name);
  CO_ASSIGN_OR_RETURN(const auto found, co_await request.backends.Call(request.backends.volume(),
                                                                       &VolumeCalls::GetVolume, get,
                                                                       request.options()));
  co_return co_await request.http.SendJson(200, VolumeToJson(found.volume()));
}

Awaitable<absl::Status> VolumeDelete(ApiRequest& request) {
  pb::RemoveVolumeRequest remove;
  remove.set_name(request.name);
  remove.set_force(request.query.GetBool("force"));
  const auto removed = co_await request.backends.Call(
      request.backends.volume(), &VolumeCalls::RemoveVolume, remove, request.options());
  CO_RETURN_IF_ERROR(removed.status());
  co_return co_await request.http.SendEmpty(204);
}

Awaitable<absl::Status> VolumePrune(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(request.query.Get("filters")));
  CO_ASSIGN_OR_RETURN(const pb::PruneVolumesRequest prune,
                      PruneFromFilters(filters, request.version));
  CO_ASSIGN_OR_RETURN(const auto pruned, co_await request.backends.Call(request.backends.volume(),
                                                                        &VolumeCalls::PruneVolumes,
                                                                        prune, request.endless()));
  json::object answer;
  answer["VolumesDeleted"] =
      pruned.names().empty() ? json::value(nullptr) : StringArray(pruned.names());
  answer["SpaceReclaimed"] = pruned.freed_bytes();
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
