#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/docker/container_json.h"
#include "gateway/docker/image_json.h"
#include "gateway/docker/times.h"
#include "gateway/docker/volume_json.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;

// API 1.42: "type" names the kinds to look at; none means all.
bool Wanted(const Query& query, absl::string_view kind) {
  const std::vector<std::string> kinds = query.All("type");
  return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Awaitable<absl::Status> AddImages(ApiRequest& request, json::object& answer) {
  CO_ASSIGN_OR_RETURN(
      const auto usage,
      co_await request.backends.Call(request.backends.image(), &ImageCalls::GetDiskUsage,
                                     slipway::image::v1::GetDiskUsageRequest(), request.options()));
  json::array images;
  for (const slipway::image::v1::Image& image : usage.images()) {
    json::object summary = ImageSummaryToJson(image, request.version);
    summary["Containers"] = image.container_count();
    images.push_back(std::move(summary));
  }
  answer["LayersSize"] = usage.layers_size_bytes();
  answer["Images"] = std::move(images);
  co_return absl::OkStatus();
}

Awaitable<absl::Status> AddContainers(ApiRequest& request, json::object& answer) {
  slipway::container::v1::ListContainersRequest list;
  list.set_all(true);
  list.set_with_size(true);
  CO_ASSIGN_OR_RETURN(
      const auto listed,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::ListContainers,
                                     list, request.options()));
  json::array containers;
  const int64_t now = absl::GetCurrentTimeNanos();
  for (const slipway::container::v1::Container& container : listed.containers()) {
    containers.push_back(ContainerSummaryToJson(container, now));
  }
  answer["Containers"] = std::move(containers);
  co_return absl::OkStatus();
}

Awaitable<absl::Status> AddBuildCache(ApiRequest& request, json::object& answer) {
  CO_ASSIGN_OR_RETURN(const auto listed,
                      co_await request.backends.Call(
                          request.backends.build(), &BuildCalls::ListBuildCache,
                          slipway::build::v1::ListBuildCacheRequest(), request.options()));
  json::array entries;
  int64_t total = 0;
  for (const slipway::build::v1::BuildCacheEntry& entry : listed.entries()) {
    total += entry.size_bytes();
    entries.push_back(json::object{{"ID", entry.id()},
                                   {"Parent", ""},
                                   {"Type", entry.type()},
                                   {"Description", entry.description()},
                                   {"InUse", entry.in_use()},
                                   {"Shared", entry.shared()},
                                   {"Size", entry.size_bytes()},
                                   {"CreatedAt", Rfc3339Nano(entry.created_unix_ns())},
                                   {"LastUsedAt", Rfc3339Nano(entry.last_used_unix_ns())},
                                   {"UsageCount", entry.use_count()}});
  }
  answer["BuildCache"] = std::move(entries);
  answer["BuilderSize"] = total;
  co_return absl::OkStatus();
}

Awaitable<absl::Status> AddVolumes(ApiRequest& request, json::object& answer) {
  slipway::container::v1::ListVolumesRequest list;
  list.set_with_size(true);
  CO_ASSIGN_OR_RETURN(const auto listed, co_await request.backends.Call(request.backends.volume(),
                                                                        &VolumeCalls::ListVolumes,
                                                                        list, request.options()));
  json::array volumes;
  for (const slipway::container::v1::Volume& volume : listed.volumes()) {
    volumes.push_back(VolumeUsageToJson(volume));
  }
  answer["Volumes"] = std::move(volumes);
  co_return absl::OkStatus();
}

}  // namespace

Awaitable<absl::Status> SystemDataUsage(ApiRequest& request) {
  json::object answer;
  answer["LayersSize"] = 0;
  for (const char* kind : {"Images", "Containers", "Volumes", "BuildCache"}) {
    answer[kind].emplace_array();
  }
  for (const std::string& kind : request.query.All("type")) {
    if (kind != "image" && kind != "container" && kind != "volume" && kind != "build-cache") {
      co_return absl::InvalidArgumentError(absl::StrCat("unknown object type: ", kind));
    }
  }
  if (Wanted(request.query, "image")) CO_RETURN_IF_ERROR(co_await AddImages(request, answer));
  if (Wanted(request.query, "container")) {
    CO_RETURN_IF_ERROR(co_await AddContainers(request, answer));
  }
  if (Wanted(request.query, "build-cache")) {
    CO_RETURN_IF_ERROR(co_await AddBuildCache(request, answer));
  }
  if (Wanted(request.query, "volume")) CO_RETURN_IF_ERROR(co_await AddVolumes(request, answer));
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
