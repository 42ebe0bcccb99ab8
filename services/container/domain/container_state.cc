#include "services/container/domain/container_state.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace slipway::container {
namespace {

std::string NotRunning(const Container& container) {
  return absl::StrCat("Container ", container.id(),
                      container.state == State::kRestarting
                          ? " is restarting, wait until the container is running"
                          : " is not running");
}

std::string WhyNot(const Container& container, Transition transition) {
  const std::string& id = container.id();
  const absl::string_view state = StateName(container.state);
  const bool going = container.state == State::kRemoving || container.state == State::kDead;
  switch (transition) {
    case Transition::kStart:
      if (container.state == State::kPaused) {
        return "cannot start a paused container, try unpause instead";
      }
      return "container is marked for removal and cannot be started";
    case Transition::kRemove:
      if (container.state == State::kPaused) {
        return absl::StrCat("You cannot remove a paused container ", id,
                            ". Unpause and then stop the container before attempting removal or "
                            "force remove");
      }
      return absl::StrCat(
          "You cannot remove a ", container.state == State::kRestarting ? "restarting" : "running",
          " container ", id, ". Stop the container before attempting removal or force remove");
    case Transition::kKill:
      return absl::StrCat("Cannot kill container: ", id, ": Container ", id, " is not running");
    case Transition::kExec:
      if (container.state == State::kPaused) {
        return absl::StrCat("Container ", id, " is paused, unpause the container before exec");
      }
      return NotRunning(container);
    case Transition::kPause:
      if (container.state == State::kPaused) {
        return absl::StrCat("Container ", id, " is already paused");
      }
      return NotRunning(container);
    case Transition::kUnpause:
      return absl::StrCat("Container ", id, " is not paused");
    case Transition::kRename:
    case Transition::kStop:
      if (going) return absl::StrCat("Container ", id, " is marked for removal");
      break;
    default:
      break;
  }
  return absl::StrCat("container ", id, " is ", state, ", which does not allow this");
}

}  // namespace

absl::StatusOr<State> Follow(const Container& container, Transition transition) {
  const std::optional<State> next = Next(container.state, transition);
  if (next.has_value()) return *next;
  return absl::FailedPreconditionError(WhyNot(container, transition));
}

absl::string_view StateName(State state) {
  switch (state) {
    case State::kCreated:
      return "created";
    case State::kStarting:
      return "starting";
    case State::kRunning:
      return "running";
    case State::kPaused:
      return "paused";
    case State::kStopping:
      return "stopping";
    case State::kRestarting:
      return "restarting";
    case State::kExited:
      return "exited";
    case State::kRemoving:
      return "removing";
    case State::kDead:
      return "dead";
  }
  return "unknown";
}

absl::string_view HealthName(Health::Status status) {
  switch (status) {
    case Health::Status::kStarting:
      return "starting";
    case Health::Status::kHealthy:
      return "healthy";
    case Health::Status::kUnhealthy:
      return "unhealthy";
    case Health::Status::kNone:
      break;
  }
  return "none";
}

absl::string_view DockerStatus(const Container& container) {
  if (container.state == State::kStarting) {
    if (container.restart_count > 0) return "restarting";
    return container.started_unix_ns == 0 ? "created" : "exited";
  }
  if (container.state == State::kStopping) return "running";
  return StateName(container.state);
}

}  // namespace slipway::container
