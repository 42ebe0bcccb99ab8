#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gateway/docker/container_json.h"
#include "gateway/endpoints/handlers.h"
#include "gateway/endpoints/terminal_size.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::container::v1;

// Sends `answer` of a verb on a container: `status` or what failed.
template <typename T>
Awaitable<absl::Status> Answer(ApiRequest& request, const absl::StatusOr<T>& outcome, int status) {
  if (!outcome.ok()) co_return NameMissing(outcome.status(), "container", request.name);
  co_return co_await request.http.SendEmpty(status);
}

// The grace period in the parameter "t", with the signal.
template <typename T>
absl::Status ReadGrace(const Query& query, T& message) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> seconds, query.GetInt("t"));
  if (seconds) {
    if (*seconds > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat("timeout ", *seconds, " is out of range"));
    }
    message.set_timeout_seconds(*seconds < 0 ? -1 : static_cast<int32_t>(*seconds));
  }
  message.set_signal(query.Get("signal"));
  return absl::OkStatus();
}

// Where the json-file driver writes; the log service knows.
Awaitable<std::string> LogPath(ApiRequest& request, const pb::Container& container) {
  if (container.spec().log().driver() != "json-file") co_return "";
  slipway::log::v1::GetLogStatsRequest stats;
  stats.set_container_id(container.id());
  const auto answer = co_await request.backends.Call(request.backends.log(), &LogCalls::GetLogStats,
                                                     stats, request.options());
  co_return answer.ok() ? answer->outlet().path() : "";
}

}  // namespace

Awaitable<absl::Status> ContainerInspect(ApiRequest& request) {
  const bool with_size = request.query.GetBool("size");
  CO_ASSIGN_OR_RETURN(const pb::Container container, co_await FindContainer(request, with_size));
  boost::json::object answer = ContainerToJson(container, request.version);
  answer["LogPath"] = co_await LogPath(request, container);
  co_return co_await request.http.SendJson(200, answer);
}

Awaitable<absl::Status> ContainerStart(ApiRequest& request) {
  if (!request.query.Get("checkpoint").empty()) {
    co_return absl::UnimplementedError("start from a checkpoint is not supported");
  }
  pb::StartContainerRequest start;
  start.set_container(request.name);
  const auto started = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::StartContainer, start, request.options());
  const int status = started.ok() && started->was_running() ? 304 : 204;
  co_return co_await Answer(request, started, status);
}

Awaitable<absl::Status> ContainerStop(ApiRequest& request) {
  pb::StopContainerRequest stop;
  stop.set_container(request.name);
  CO_RETURN_IF_ERROR(ReadGrace(request.query, stop));
  const auto stopped = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::StopContainer, stop, request.endless());
  const int status = stopped.ok() && stopped->was_stopped() ? 304 : 204;
  co_return co_await Answer(request, stopped, status);
}

Awaitable<absl::Status> ContainerRestart(ApiRequest& request) {
  pb::RestartContainerRequest restart;
  restart.set_container(request.name);
  CO_RETURN_IF_ERROR(ReadGrace(request.query, restart));
  const auto restarted = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::RestartContainer, restart, request.endless());
  co_return co_await Answer(request, restarted, 204);
}

Awaitable<absl::Status> ContainerKill(ApiRequest& request) {
  pb::KillContainerRequest kill;
  kill.set_container(request.name);
  kill.set_signal(request.query.Get("signal"));
  const auto killed = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::KillContainer, kill, request.options());
  co_return co_await Answer(request, killed, 204);
}

Awaitable<absl::Status> ContainerRename(ApiRequest& request) {
  pb::RenameContainerRequest rename;
  rename.set_container(request.name);
  const std::string name = request.query.Get("name");
  rename.set_name(std::string(absl::StripPrefix(name, "/")));
  if (rename.name().empty()) {
    co_return absl::InvalidArgumentError("Neither old nor new names may be empty");
  }
  const auto renamed = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::RenameContainer, rename, request.options());
  co_return co_await Answer(request, renamed, 204);
}

Awaitable<absl::Status> ContainerDelete(ApiRequest& request) {
  if (request.query.GetBool("link")) {
    co_return absl::UnimplementedError("removal of links is not supported");
  }
  pb::RemoveContainerRequest remove;
  remove.set_container(request.name);
  remove.set_force(request.query.GetBool("force"));
  remove.set_remove_volumes(request.query.GetBool("v"));
  const auto removed = co_await request.backends.Call(
      request.backends.container(), &ContainerCalls::RemoveContainer, remove, request.options());
  co_return co_await Answer(request, removed, 204);
}

Awaitable<absl::Status> ContainerResize(ApiRequest& request) {
  slipway::agent::v1::ResizeTerminalRequest resize;
  CO_ASSIGN_OR_RETURN(*resize.mutable_size(), ReadTerminalSize(request.query));
  CO_ASSIGN_OR_RETURN(const pb::Container container, co_await FindContainer(request));
  if (container.state().status() != pb::CONTAINER_STATUS_RUNNING) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("Container ", container.id(), " is not running"));
  }
  resize.set_id(container.id());
  Announce(request, container.id(), pb::RecordAccessRequest::ACTION_RESIZE,
           {{"height", absl::StrCat(resize.size().rows())},
            {"width", absl::StrCat(resize.size().columns())}});
  // As dockerd: nothing to do.
  if (!container.spec().tty()) co_return co_await request.http.SendEmpty(200);
  const auto resized = co_await request.backends.Call(
      request.backends.stream(), &StreamCalls::ResizeTerminal, resize, request.options());
  co_return co_await Answer(request, resized, 200);
}

}  // namespace slipway::gateway
