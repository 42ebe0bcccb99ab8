// POST /build and /build/prune: the classic builder's protocol.

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/clients/context_upload.h"
#include "gateway/docker/build_messages.h"
#include "gateway/docker/build_options.h"
#include "gateway/docker/filters.h"
#include "gateway/docker/until_filter.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::build::v1;

// The body, one piece after the other. False when the service takes no more.
Awaitable<absl::StatusOr<bool>> UploadBody(Exchange& http, Backends& backends, BuildStream stream) {
  std::string buffer(ContextUpload::kPieceBytes, '\0');
  ContextUpload upload(backends, std::move(stream));
  while (true) {
    CO_ASSIGN_OR_RETURN(const size_t count, co_await http.ReadSome(buffer.data(), buffer.size()));
    if (count == 0) co_return true;
    CO_ASSIGN_OR_RETURN(const bool taken,
                        co_await upload.Append(absl::string_view(buffer).substr(0, count)));
    if (!taken) co_return false;
  }
}

// The body into the call. What breaks is the body: the call's own outcome tells of the rest.
Awaitable<absl::Status> Upload(Exchange& http, Backends& backends, BuildStream stream,
                               pb::BuildImageRequest first) {
  bool taken = co_await stream->Write(std::move(first));
  if (taken) {
    auto uploaded = co_await UploadBody(http, backends, stream);
    if (!uploaded.ok()) {
      stream->Cancel();
      co_return uploaded.status();
    }
    taken = *uploaded;
  }
  if (taken) {
    // From here on the client only listens: a hang-up ends the build.
    http.WatchDisconnect([stream] { stream->Cancel(); });
    stream->WritesDone();
  }
  co_return absl::OkStatus();
}

// The messages out of the call, to the client.
Awaitable<absl::Status> Download(Exchange& http, BuildStream stream, BuildMessages& messages) {
  pb::BuildImageResponse response;
  absl::Status written;
  while (co_await stream->Next(response)) {
    const std::string text = messages.Take(response);
    if (text.empty() || !written.ok()) continue;
    if (!http.started()) written = co_await http.BeginStream(200, "application/json");
    if (written.ok()) written = co_await http.Write(text);
    if (!written.ok()) stream->Cancel();
  }
  co_return written;
}

absl::StatusOr<pb::PruneBuildCacheRequest> PruneRequest(const Query& query) {
  ASSIGN_OR_RETURN(const Filters filters, Filters::Parse(query.Get("filters")));
  RETURN_IF_ERROR(filters.CheckNames(
      {"until", "id", "parent", "type", "description", "inuse", "shared", "private"}));
  pb::PruneBuildCacheRequest prune;
  prune.set_all(query.GetBool("all"));
  ASSIGN_OR_RETURN(const std::optional<int64_t> keep, query.GetInt("keep-storage"));
  prune.set_keep_bytes(keep.value_or(0));
  ASSIGN_OR_RETURN(const int64_t until_unix_ns, ReadUntil(filters, absl::GetCurrentTimeNanos()));
  prune.set_until_unix_ns(until_unix_ns);
  for (const std::string& id : filters.Get("id")) prune.add_ids(id);
  for (const std::string& type : filters.Get("type")) prune.add_types(type);
  return prune;
}

}  // namespace

Awaitable<absl::Status> ImageBuild(ApiRequest& request) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  Exchange& http = request.http;
  pb::BuildImageRequest first;
  CO_ASSIGN_OR_RETURN(*first.mutable_options(),
                      ReadBuildOptions(request.query, http.Header("X-Registry-Config")));
  BuildMessages messages(request.query.GetBool("q"));
  BuildStream stream =
      request.backends.Bidi(request.backends.build(), &BuildCalls::BuildImage, request.endless());
  auto [uploaded, downloaded] = co_await (
      Upload(http, request.backends, stream, std::move(first)) && Download(http, stream, messages));
  absl::Status finished = co_await stream->Finish();
  CO_RETURN_IF_ERROR(downloaded);
  // A broken body is the reason for the cancelled call.
  if (!uploaded.ok()) finished = uploaded;
  if (!finished.ok()) {
    if (!http.started()) co_return finished;
    const std::string text = messages.Fail(finished);
    CO_RETURN_IF_ERROR(co_await http.Write(text));
  }
  if (!http.started()) CO_RETURN_IF_ERROR(co_await http.BeginStream(200, "application/json"));
  co_return co_await http.EndStream();
}

Awaitable<absl::Status> BuildPrune(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::PruneBuildCacheRequest prune, PruneRequest(request.query));
  CO_ASSIGN_OR_RETURN(
      const pb::PruneBuildCacheResponse pruned,
      co_await request.backends.Call(request.backends.build(), &BuildCalls::PruneBuildCache, prune,
                                     request.endless()));
  json::array ids;
  for (const std::string& id : pruned.ids()) ids.emplace_back(id);
  json::object answer;
  answer["CachesDeleted"] = ids.empty() ? json::value(nullptr) : json::value(std::move(ids));
  answer["SpaceReclaimed"] = pruned.reclaimed_bytes();
  co_return co_await request.http.SendJson(200, answer);
}

// Of a build with a session: the classic builder's end with their connection.
Awaitable<absl::Status> BuildCancel(ApiRequest& request) {
  if (request.buildkit.builds.Cancel(request.query.Get("id"))) {
    co_return co_await request.http.SendEmpty(200);
  }
  co_return absl::NotFoundError(
      absl::StrCat("No such build: ", request.query.Get("id"), " (hang up to end a build)"));
}

}  // namespace slipway::gateway
