// What is asked of registries: logins, search, and what they have.

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/http_error.h"
#include "gateway/docker/json_fields.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::image::v1;

// "is-official=true", "stars=3" and so on.
absl::StatusOr<bool> Shown(const Filters& filters, const pb::SearchResult& result) {
  ASSIGN_OR_RETURN(const std::optional<bool> official, filters.GetBool("is-official"));
  ASSIGN_OR_RETURN(const std::optional<bool> automated, filters.GetBool("is-automated"));
  if (official && *official != result.is_official()) return false;
  if (automated && *automated != result.is_automated()) return false;
  for (const std::string& text : filters.Get("stars")) {
    int64_t stars = 0;
    if (!absl::SimpleAtoi(text, &stars)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid filter 'stars=", text, "'"));
    }
    if (result.star_count() < stars) return false;
  }
  return true;
}

json::object ResultToJson(const pb::SearchResult& result) {
  return {{"star_count", result.star_count()},
          {"is_official", result.is_official()},
          {"name", result.name()},
          {"is_automated", result.is_automated()},
          {"description", result.description()}};
}

json::object DistributionToJson(const pb::InspectDistributionResponse& found) {
  json::array platforms;
  for (const slipway::common::v1::Platform& platform : found.platforms()) {
    json::object item{{"architecture", platform.architecture()}, {"os", platform.os()}};
    if (!platform.variant().empty()) item["variant"] = platform.variant();
    platforms.push_back(std::move(item));
  }
  return {{"Descriptor", json::object{{"mediaType", found.media_type()},
                                      {"digest", found.digest()},
                                      {"size", found.size_bytes()}}},
          {"Platforms", std::move(platforms)}};
}

}  // namespace

Awaitable<absl::Status> SystemAuth(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  const json::object* object = body.if_object();
  if (object == nullptr) co_return absl::InvalidArgumentError("invalid JSON: not a login");
  JsonFields fields(*object, "");
  pb::CheckRegistryAuthRequest check;
  check.mutable_auth()->set_username(fields.String("username"));
  check.mutable_auth()->set_password(fields.String("password"));
  check.mutable_auth()->set_identity_token(fields.String("identitytoken"));
  check.mutable_auth()->set_server_address(fields.String("serveraddress"));
  CO_RETURN_IF_ERROR(fields.status());
  const auto checked = co_await request.backends.Call(
      request.backends.image(), &ImageCalls::CheckRegistryAuth, check, request.options());
  if (absl::IsUnavailable(checked.status())) {
    co_return absl::InternalError(checked.status().message());
  }
  CO_RETURN_IF_ERROR(checked.status());
  json::object answer;
  answer["IdentityToken"] = checked->identity_token();
  answer["Status"] = "Login Succeeded";
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> ImageSearch(ApiRequest& request) {
  const Query& query = request.query;
  pb::SearchImagesRequest search;
  search.set_term(query.Get("term"));
  CO_ASSIGN_OR_RETURN(const std::optional<int64_t> limit, query.GetInt("limit"));
  if (limit) search.set_limit(static_cast<int32_t>(std::clamp<int64_t>(*limit, -1, 1000)));
  CO_ASSIGN_OR_RETURN(*search.mutable_auth(),
                      ParseRegistryAuth(request.http.Header("X-Registry-Auth")));
  CO_ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(query.Get("filters")));
  CO_RETURN_IF_ERROR(filters.CheckNames({"is-automated", "is-official", "stars"}));
  const auto found = co_await request.backends.Call(
      request.backends.image(), &ImageCalls::SearchImages, search, request.options());
  if (absl::IsUnavailable(found.status())) co_return absl::InternalError(found.status().message());
  CO_RETURN_IF_ERROR(found.status());
  json::array answer;
  for (const pb::SearchResult& result : found->results()) {
    CO_ASSIGN_OR_RETURN(const bool shown, Shown(filters, result));
    if (!shown) continue;
    answer.push_back(ResultToJson(result));
  }
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> DistributionInspect(ApiRequest& request) {
  pb::InspectDistributionRequest inspect;
  inspect.set_reference(request.name);
  CO_ASSIGN_OR_RETURN(*inspect.mutable_auth(),
                      ParseRegistryAuth(request.http.Header("X-Registry-Auth")));
  const auto found = co_await request.backends.Call(
      request.backends.image(), &ImageCalls::InspectDistribution, inspect, request.options());
  if (!found.ok()) co_return PullError(found.status(), request.name);
  co_return co_await request.http.SendJson(200, DistributionToJson(*found));
}

}  // namespace slipway::gateway
