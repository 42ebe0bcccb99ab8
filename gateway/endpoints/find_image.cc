#include "gateway/endpoints/find_image.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text/platform.h"
#include "gateway/docker/image_reference.h"

namespace slipway::gateway {
namespace {

PlatformName NameOf(const slipway::common::v1::Platform& platform) {
  return {platform.os(), platform.architecture(), platform.variant()};
}

}  // namespace

Awaitable<absl::StatusOr<slipway::image::v1::Image>> FindImage(ApiRequest& request,
                                                               std::string name) {
  slipway::image::v1::GetImageRequest get;
  get.set_reference(name);
  auto found = co_await request.backends.Call(request.backends.image(), &ImageCalls::GetImage, get,
                                              request.options());
  if (!found.ok()) co_return NameMissing(found.status(), "image", name);
  const std::string text = request.query.Get("platform");
  if (!text.empty()) {
    CO_ASSIGN_OR_RETURN(const auto wanted, ParsePlatform(text));
    if (!Serves(NameOf(found->image().platform()), NameOf(wanted))) {
      co_return absl::NotFoundError(absl::StrCat(
          "image with reference ", name, " was found but does not provide the specified platform (",
          Format(NameOf(wanted)), ")"));
    }
  }
  co_return std::move(*found->mutable_image());
}

}  // namespace slipway::gateway
