#include "gateway/endpoints/find_image.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;

Awaitable<absl::Status> Save(ApiRequest& request, pb::SaveImagesRequest save) {
  if (request.query.Has("platform")) {
    for (const std::string& reference : save.references()) {
      CO_RETURN_IF_ERROR((co_await FindImage(request, reference)).status());
    }
  }
  auto stream = request.backends.Read(request.backends.image(), &ImageCalls::SaveImages,
                                      std::move(save), request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  pb::SaveImagesResponse response;
  while (co_await stream->Next(response)) {
    if (!request.http.started()) {
      CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/x-tar"));
    }
    CO_RETURN_IF_ERROR(co_await request.http.Write(response.data()));
  }
  const absl::Status finished = co_await stream->Finish();
  // An archive that has begun is cut off then: an orderly end would say that it is whole.
  CO_RETURN_IF_ERROR(finished);
  co_return co_await request.http.EndStream();
}

}  // namespace

Awaitable<absl::Status> ImageSave(ApiRequest& request) {
  pb::SaveImagesRequest save;
  save.add_references(request.name);
  co_return co_await Save(request, std::move(save));
}

Awaitable<absl::Status> ImagesSave(ApiRequest& request) {
  pb::SaveImagesRequest save;
  for (const std::string& name : request.query.All("names")) save.add_references(name);
  co_return co_await Save(request, std::move(save));
}

}  // namespace slipway::gateway
