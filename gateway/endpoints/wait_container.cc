#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/str_cat.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::StatusOr<pb::WaitContainerRequest::Condition> ParseCondition(const std::string& word) {
  if (word.empty() || word == "not-running") {
    return pb::WaitContainerRequest::CONDITION_NOT_RUNNING;
  }
  if (word == "next-exit") return pb::WaitContainerRequest::CONDITION_NEXT_EXIT;
  if (word == "removed") return pb::WaitContainerRequest::CONDITION_REMOVED;
  return absl::InvalidArgumentError(absl::StrCat("invalid condition: \"", word, "\""));
}

std::string Outcome(const pb::WaitContainerResponse& response) {
  json::object out;
  if (!response.error().empty()) out["Error"] = json::object{{"Message", response.error()}};
  out["StatusCode"] = response.exit_code();
  return json::serialize(out) + "\n";
}

}  // namespace

Awaitable<absl::Status> ContainerWait(ApiRequest& request) {
  pb::WaitContainerRequest wait;
  wait.set_container(request.name);
  CO_ASSIGN_OR_RETURN(const auto condition, ParseCondition(request.query.Get("condition")));
  wait.set_condition(condition);
  auto stream = request.backends.Read(request.backends.container(), &ContainerCalls::WaitContainer,
                                      wait, request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  pb::WaitContainerResponse response;
  // The header tells the client that the wait is registered: only then does it start the container.
  bool more = co_await stream->Next(response);
  if (more) {
    CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
    while (more && response.registered()) more = co_await stream->Next(response);
  }
  // As dockerd: why it did not start is told to who started it.
  if (condition == pb::WaitContainerRequest::CONDITION_REMOVED) response.clear_error();
  std::string outcome;
  if (more) {
    outcome = Outcome(response);
  } else {
    const absl::Status finished = co_await stream->Finish();
    const absl::Status failed =
        finished.ok() ? absl::InternalError("the wait ended without an outcome") : finished;
    if (!request.http.started()) co_return NameMissing(failed, "container", request.name);
    pb::WaitContainerResponse error;
    error.set_exit_code(-1);
    error.set_error(std::string(failed.message()));
    outcome = Outcome(error);
  }
  CO_RETURN_IF_ERROR(co_await request.http.Write(outcome));
  co_return co_await request.http.EndStream();
}

}  // namespace slipway::gateway
