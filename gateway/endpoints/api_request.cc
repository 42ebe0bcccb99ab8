#include "gateway/endpoints/api_request.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"

namespace slipway::gateway {

namespace pb = slipway::container::v1;

absl::Status NameMissing(const absl::Status& status, absl::string_view kind,
                         absl::string_view name) {
  // What is missing is named already: "No such container: x", "network x not found", "image with
  // reference x was found but ...".
  const bool named = absl::StrContains(status.message(), "o such ") ||
                     absl::StrContains(status.message(), " not found") ||
                     absl::StrContains(status.message(), " was found but ");
  if (!absl::IsNotFound(status) || named) return status;
  return absl::NotFoundError(absl::StrCat("No such ", kind, ": ", name));
}

void Announce(ApiRequest& request, const std::string& container,
              pb::RecordAccessRequest::Action action,
              std::vector<std::pair<std::string, std::string>> attributes) {
  pb::RecordAccessRequest record;
  record.set_container(container);
  record.set_action(action);
  for (auto& [name, value] : attributes) (*record.mutable_attributes())[name] = std::move(value);
  auto tell = [](Backends& backends, pb::RecordAccessRequest record,
                 CallOptions options) -> Awaitable<void> {
    const auto told = co_await backends.Call(backends.container(), &ContainerCalls::RecordAccess,
                                             std::move(record), std::move(options));
    if (!told.ok()) {
      Log(LogLevel::kWarning, "an access was not recorded",
          {{"error", std::string(told.status().message())}});
    }
  };
  asio::co_spawn(request.http.stream()->get_executor(),
                 tell(request.backends, std::move(record), request.options()), asio::detached);
}

Awaitable<absl::StatusOr<pb::Container>> FindContainer(ApiRequest& request, bool with_size) {
  pb::GetContainerRequest get;
  get.set_with_size(with_size);
  get.set_container(request.name);
  auto found = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::GetContainer, get, request.options());
  if (!found.ok()) co_return NameMissing(found.status(), "container", request.name);
  co_return std::move(*found->mutable_container());
}

}  // namespace slipway::gateway
