#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/docker/http_error.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/progress.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;

absl::StatusOr<pb::PullImageRequest> PullRequest(const ApiRequest& request) {
  pb::PullImageRequest pull;
  ASSIGN_OR_RETURN(std::string reference,
                   JoinReference(request.query.Get("fromImage"), request.query.Get("tag")));
  pull.set_reference(std::move(reference));
  ASSIGN_OR_RETURN(*pull.mutable_auth(), ParseRegistryAuth(request.http.Header("X-Registry-Auth")));
  const std::string platform = request.query.Get("platform");
  if (!platform.empty()) {
    ASSIGN_OR_RETURN(*pull.mutable_platform(), ParsePlatform(platform));
  }
  return pull;
}

std::string Messages(const pb::PullImageResponse& response, absl::string_view reference) {
  switch (response.kind_case()) {
    case pb::PullImageResponse::kStatus:
      return StatusMessage(response.status().text(), response.status().id());
    case pb::PullImageResponse::kLayer:
      return LayerMessage(response.layer(), /*loading=*/false);
    case pb::PullImageResponse::kDone: {
      const pb::PullDone& done = response.done();
      const std::string name = done.reference().empty() ? std::string(reference) : done.reference();
      return absl::StrCat(
          StatusMessage(absl::StrCat("Digest: ", done.manifest_digest())),
          StatusMessage(absl::StrCat(done.was_up_to_date() ? "Status: Image is up to date for "
                                                           : "Status: Downloaded newer image for ",
                                     name)));
    }
    default:
      return "";
  }
}

}  // namespace

Awaitable<absl::Status> ImageCreate(ApiRequest& request) {
  if (request.query.Has("fromSrc") && !request.query.Has("fromImage")) {
    co_return co_await ImageImport(request);
  }
  CO_ASSIGN_OR_RETURN(const pb::PullImageRequest pull, PullRequest(request));
  auto stream = request.backends.Read(request.backends.image(), &ImageCalls::PullImage, pull,
                                      request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  pb::PullImageResponse response;
  while (co_await stream->Next(response)) {
    if (!request.http.started()) {
      CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
    }
    const std::string messages = Messages(response, pull.reference());
    CO_RETURN_IF_ERROR(co_await request.http.Write(messages));
  }
  const absl::Status finished = co_await stream->Finish();
  if (!finished.ok()) {
    const absl::Status error = PullError(finished, pull.reference());
    if (!request.http.started()) co_return error;
    const std::string message =
        ErrorMessage(absl::string_view(error.message().data(), error.message().size()));
    CO_RETURN_IF_ERROR(co_await request.http.Write(message));
  }
  if (!request.http.started()) {
    CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
  }
  co_return co_await request.http.EndStream();
}

}  // namespace slipway::gateway
