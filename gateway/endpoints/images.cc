#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/serializer.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/image_json.h"
#include "gateway/docker/until_filter.h"
#include "gateway/endpoints/find_image.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::image::v1;

absl::StatusOr<pb::ListImagesRequest> ListRequest(const Query& query) {
  pb::ListImagesRequest list;
  list.set_all(query.GetBool("all"));
  ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(query.Get("filters")));
  RETURN_IF_ERROR(
      filters.CheckNames({"dangling", "label", "before", "since", "reference", "until"}));
  ASSIGN_OR_RETURN(const int64_t until_unix_ns, ReadUntil(filters, absl::GetCurrentTimeNanos()));
  list.set_until_unix_ns(until_unix_ns);
  list.set_shared_size(query.GetBool("shared-size"));
  for (const std::string& label : filters.Get("label")) list.add_labels(label);
  for (const std::string& reference : filters.Get("reference")) list.add_references(reference);
  // Clients before API 1.25 name the image by a parameter of its own.
  if (query.Has("filter")) list.add_references(query.Get("filter"));
  if (filters.Has("before")) list.set_before(filters.Get("before").front());
  if (filters.Has("since")) list.set_since(filters.Get("since").front());
  ASSIGN_OR_RETURN(const std::optional<bool> dangling, filters.GetBool("dangling"));
  if (dangling) list.set_dangling(*dangling);
  return list;
}

}  // namespace

Awaitable<absl::Status> ImageList(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::ListImagesRequest list, ListRequest(request.query));
  CO_ASSIGN_OR_RETURN(const auto listed, co_await request.backends.Call(request.backends.image(),
                                                                        &ImageCalls::ListImages,
                                                                        list, request.options()));
  // One after the other, so that the memory of each serves the next.
  std::array<unsigned char, 8 << 10> memory;
  std::array<char, 4 << 10> text;
  json::serializer serializer;
  std::string answer = "[";
  for (const pb::Image& image : listed.images()) {
    if (answer.size() > 1) answer += ',';
    json::monotonic_resource resource(memory.data(), memory.size());
    const json::object summary = ImageSummaryToJson(image, request.version, &resource);
    serializer.reset(&summary);
    while (!serializer.done()) {
      const auto piece = serializer.read(text.data(), text.size());
      answer.append(piece.data(), piece.size());
    }
  }
  answer += ']';
  co_return co_await request.http.SendLine(200, std::move(answer));
}

Awaitable<absl::Status> ImageInspect(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::Image image, co_await FindImage(request, request.name));
  co_return co_await request.http.SendJson(200, ImageToJson(image, request.version));
}

Awaitable<absl::Status> ImageHistory(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::Image image, co_await FindImage(request, request.name));
  json::array history = HistoryToJson(image);
  // A step that was built here is an image of its own.
  std::string parent = image.parent_id();
  for (size_t i = 1; i < history.size() && !parent.empty(); ++i) {
    pb::GetImageRequest get;
    get.set_reference(parent);
    const auto found = co_await request.backends.Call(
        request.backends.image(), &ImageCalls::GetImage, get, request.options());
    if (!found.ok()) break;
    json::object& entry = history[i].as_object();
    entry["Id"] = parent;
    json::array tags;
    for (const std::string& tag : found->image().repo_tags()) tags.emplace_back(tag);
    if (!tags.empty()) entry["Tags"] = std::move(tags);
    parent = found->image().parent_id();
  }
  co_return co_await request.http.SendJson(200, history);
}

Awaitable<absl::Status> ImageTag(ApiRequest& request) {
  pb::TagImageRequest tag;
  tag.set_source(request.name);
  const std::string repository = request.query.Get("repo");
  const std::string name = request.query.Get("tag");
  tag.set_target(name.empty() ? repository : absl::StrCat(repository, ":", name));
  auto tagged = co_await request.backends.Call(request.backends.image(), &ImageCalls::TagImage, tag,
                                               request.options());
  if (!tagged.ok()) co_return NameMissing(tagged.status(), "image", request.name);
  co_return co_await request.http.SendEmpty(201);
}

Awaitable<absl::Status> ImageDelete(ApiRequest& request) {
  // An image goes from under stopped containers by force, never from under those that run.
  slipway::container::v1::ListContainersRequest running;
  running.add_ancestors(request.name);
  CO_ASSIGN_OR_RETURN(
      const auto users,
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::ListContainers,
                                     running, request.options()));
  pb::RemoveImageRequest remove;
  remove.set_knows_running(true);
  for (const auto& container : users.containers()) remove.add_running_owners(container.id());
  remove.set_reference(request.name);
  remove.set_force(request.query.GetBool("force"));
  remove.set_no_prune(request.query.GetBool("noprune"));
  auto removed = co_await request.backends.Call(request.backends.image(), &ImageCalls::RemoveImage,
                                                remove, request.options());
  if (!removed.ok()) co_return NameMissing(removed.status(), "image", request.name);
  json::array answer;
  for (const std::string& name : removed->untagged()) {
    answer.push_back(json::object{{"Untagged", name}});
  }
  for (const std::string& digest : removed->deleted()) {
    answer.push_back(json::object{{"Deleted", digest}});
  }
  co_return co_await request.http.SendJson(200, answer);
}

}  // namespace slipway::gateway
