#include "gateway/docker/image_reference.h"
#include "gateway/docker/progress.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/endpoints/find_image.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/relay_progress.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;

absl::StatusOr<pb::PushImageRequest> PushRequest(const ApiRequest& request) {
  pb::PushImageRequest push;
  const std::string tag = request.query.Get("tag");
  if (tag.empty()) {
    push.set_reference(request.name);
    // No tag at all means every one.
    push.set_all_tags(!HasTagOrDigest(request.name));
  } else {
    ASSIGN_OR_RETURN(std::string reference, JoinReference(request.name, tag));
    push.set_reference(std::move(reference));
  }
  ASSIGN_OR_RETURN(*push.mutable_auth(), ParseRegistryAuth(request.http.Header("X-Registry-Auth")));
  return push;
}

std::string Messages(const pb::PushImageResponse& response) {
  switch (response.kind_case()) {
    case pb::PushImageResponse::kStatus:
      return StatusMessage(response.status().text(), response.status().id());
    case pb::PushImageResponse::kLayer:
      return LayerMessage(response.layer(), /*loading=*/false);
    case pb::PushImageResponse::kDone: {
      const pb::PushDone& done = response.done();
      return PushedMessages(done.tag(), done.manifest_digest(), done.manifest_size_bytes());
    }
    default:
      return "";
  }
}

}  // namespace

Awaitable<absl::Status> ImagePush(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const pb::PushImageRequest push, PushRequest(request));
  if (request.query.Has("platform")) {
    CO_RETURN_IF_ERROR((co_await FindImage(request, push.reference())).status());
  }
  auto stream = request.backends.Read(request.backends.image(), &ImageCalls::PushImage, push,
                                      request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  co_return co_await RelayProgress<pb::PushImageRequest, pb::PushImageResponse>(request.http,
                                                                                stream, Messages);
}

}  // namespace slipway::gateway
