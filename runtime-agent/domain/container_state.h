#ifndef RUNTIME_AGENT_DOMAIN_CONTAINER_STATE_H_
#define RUNTIME_AGENT_DOMAIN_CONTAINER_STATE_H_

#include <array>
#include <cstddef>

#include "absl/status/statusor.h"

// What a container on this host may become, and by what. One table; every pair that is not in it is
// FailedPrecondition naming both.
namespace slipway::agent {

enum class ContainerState { kPrepared, kStarting, kRunning, kExited, kRemoving };
inline constexpr size_t kContainerStates = 5;

enum class ContainerEvent { kStart, kStarted, kStartFailed, kExit, kRemove };
inline constexpr size_t kContainerEvents = 5;

struct Transition {
  ContainerState from;
  ContainerEvent event;
  ContainerState to;
};

inline constexpr std::array kTransitions = {
    Transition{ContainerState::kPrepared, ContainerEvent::kStart, ContainerState::kStarting},
    Transition{ContainerState::kExited, ContainerEvent::kStart, ContainerState::kStarting},
    Transition{ContainerState::kStarting, ContainerEvent::kStarted, ContainerState::kRunning},
    Transition{ContainerState::kStarting, ContainerEvent::kStartFailed, ContainerState::kPrepared},
    Transition{ContainerState::kRunning, ContainerEvent::kExit, ContainerState::kExited},
    Transition{ContainerState::kPrepared, ContainerEvent::kRemove, ContainerState::kRemoving},
    Transition{ContainerState::kRunning, ContainerEvent::kRemove, ContainerState::kRemoving},
    Transition{ContainerState::kExited, ContainerEvent::kRemove, ContainerState::kRemoving},
    // A removal is repeated, and what is being removed ends.
    Transition{ContainerState::kRemoving, ContainerEvent::kRemove, ContainerState::kRemoving},
    Transition{ContainerState::kRemoving, ContainerEvent::kExit, ContainerState::kRemoving},
};

const char* ContainerStateName(ContainerState state);
const char* ContainerEventName(ContainerEvent event);

// The state after `event`, or FailedPrecondition.
absl::StatusOr<ContainerState> NextState(ContainerState state, ContainerEvent event);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_CONTAINER_STATE_H_
