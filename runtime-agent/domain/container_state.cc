#include "runtime-agent/domain/container_state.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace slipway::agent {

const char* ContainerStateName(ContainerState state) {
  switch (state) {
    case ContainerState::kPrepared:
      return "prepared";
    case ContainerState::kStarting:
      return "starting";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kExited:
      return "exited";
    case ContainerState::kRemoving:
      return "removing";
  }
  return "unknown";
}

const char* ContainerEventName(ContainerEvent event) {
  switch (event) {
    case ContainerEvent::kStart:
      return "start";
    case ContainerEvent::kStarted:
      return "started";
    case ContainerEvent::kStartFailed:
      return "start failed";
    case ContainerEvent::kExit:
      return "exit";
    case ContainerEvent::kRemove:
      return "remove";
  }
  return "unknown";
}

absl::StatusOr<ContainerState> NextState(ContainerState state, ContainerEvent event) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == state && transition.event == event) return transition.to;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("container is ", ContainerStateName(state), ": no ", ContainerEventName(event)));
}

}  // namespace slipway::agent
