#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/time/clock.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/until_filter.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::image::v1;

absl::StatusOr<pb::PruneImagesRequest> PruneRequest(const Query& query) {
  ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(query.Get("filters")));
  RETURN_IF_ERROR(filters.CheckNames({"dangling", "label", "label!", "until"}));
  pb::PruneImagesRequest prune;
  ASSIGN_OR_RETURN(const std::optional<bool> dangling, filters.GetBool("dangling"));
  prune.set_all(!dangling.value_or(true));
  for (const std::string& label : filters.Get("label")) prune.add_labels(label);
  for (const std::string& label : filters.Get("label!")) prune.add_not_labels(label);
  ASSIGN_OR_RETURN(const int64_t until_unix_ns, ReadUntil(filters, absl::GetCurrentTimeNanos()));
  prune.set_until_unix_ns(until_unix_ns);
  return prune;
}

json::object PrunedToJson(const pb::PruneImagesResponse& pruned) {
  json::array deleted;
  for (const std::string& name : pruned.untagged()) {
    deleted.push_back(json::object{{"Untagged", name}});
  }
  for (const std::string& digest : pruned.deleted()) {
    deleted.push_back(json::object{{"Deleted", digest}});
  }
  const bool nothing = deleted.empty();
  return {{"ImagesDeleted", nothing ? json::value(nullptr) : json::value(std::move(deleted))},
          {"SpaceReclaimed", pruned.reclaimed_bytes()}};
}

}  // namespace

Awaitable<absl::Status> ImagePrune(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::PruneImagesRequest prune, PruneRequest(request.query));
  CO_ASSIGN_OR_RETURN(const auto pruned, co_await request.backends.Call(request.backends.image(),
                                                                        &ImageCalls::PruneImages,
                                                                        prune, request.endless()));
  co_return co_await request.http.SendJson(200, PrunedToJson(pruned));
}

}  // namespace slipway::gateway
