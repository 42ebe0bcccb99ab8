#include "gateway/endpoints/api_request.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::gateway {

namespace pb = slipway::container::v1;

absl::Status NameMissing(const absl::Status& status, absl::string_view kind,
                         absl::string_view name) {
  if (!absl::IsNotFound(status) || absl::StrContains(status.message(), "o such ")) return status;
  return absl::NotFoundError(absl::StrCat("No such ", kind, ": ", name));
}

Awaitable<absl::StatusOr<pb::Container>> FindContainer(ApiRequest& request) {
  pb::GetContainerRequest get;
  get.set_container(request.name);
  auto found = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::GetContainer, get, request.options());
  if (!found.ok()) co_return NameMissing(found.status(), "container", request.name);
  co_return std::move(*found->mutable_container());
}

}  // namespace slipway::gateway
