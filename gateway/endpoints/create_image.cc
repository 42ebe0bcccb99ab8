#include "absl/strings/str_cat.h"
#include "gateway/docker/http_error.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/progress.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/relay_progress.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;

absl::StatusOr<pb::PullImageRequest> PullRequest(const ApiRequest& request) {
  pb::PullImageRequest pull;
  const std::string name = request.query.Get("fromImage");
  const std::string tag = request.query.Get("tag");
  // No tag at all means every one.
  pull.set_all_tags(tag.empty() && !HasTagOrDigest(name));
  ASSIGN_OR_RETURN(std::string reference, JoinReference(name, tag));
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
  co_return co_await RelayProgress<pb::PullImageRequest, pb::PullImageResponse>(
      request.http, stream,
      [&pull](const pb::PullImageResponse& response) {
        return Messages(response, pull.reference());
      },
      [&pull](const absl::Status& status) { return PullError(status, pull.reference()); });
}

}  // namespace slipway::gateway
