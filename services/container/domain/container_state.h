#ifndef SERVICES_CONTAINER_DOMAIN_CONTAINER_STATE_H_
#define SERVICES_CONTAINER_DOMAIN_CONTAINER_STATE_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/container.h"

// What may follow what. One table; nothing else decides it. Pure functions, thread-safe.
namespace slipway::container {

enum class Transition {
  kStart,             // a client asks for it
  kStartDue,          // the restart policy's delay is over
  kStarted,           // the agent reports a run
  kFirstStartFailed,  // and it never ran before
  kStartFailed,
  kStop,
  kKill,
  kExit,
  kScheduleRestart,
  kRemove,
  kForceRemove,
  kExec,
  kPause,
  kUnpause,
  kRename,
  kLost,  // the host does not know it
};
inline constexpr int kTransitionCount = 16;

namespace internal {

// The state that follows, as a number of container::State; X is illegal. A row per state, a column
// per transition, in the order of the two enums.
inline constexpr int8_t X = -1;
// clang-format off
inline constexpr std::array<std::array<int8_t, kTransitionCount>, kStateCount> kNext = {{
    /*          start due started 1stfail fail stop kill exit sched rm rm-f exec pause unpause ren lost */
    /* 0 created    */ {{1, X, 2, X, X, 0, X, X, X, 7, 7, X, X, X, 0, 8}},
    /* 1 starting   */ {{1, X, 2, 0, 6, 4, 1, 6, X, X, 7, X, X, X, 1, 8}},
    /* 2 running    */ {{2, X, 2, X, X, 4, 2, 6, X, X, 7, 2, 3, X, 2, 8}},
    /* 3 paused     */ {{X, X, 3, X, X, 4, 3, 6, X, X, 7, X, X, 2, 3, 8}},
    /* 4 stopping   */ {{4, X, 4, X, X, 4, 4, 6, X, X, 7, 4, X, X, 4, 8}},
    /* 5 restarting */ {{5, 1, 2, X, X, 6, 6, X, X, X, 7, X, X, X, 5, 8}},
    /* 6 exited     */ {{1, X, 2, X, X, 6, X, X, 5, 7, 7, X, X, X, 6, 8}},
    /* 7 removing   */ {{X, X, 7, X, X, X, X, 7, X, 7, 7, X, X, X, X, 7}},
    /* 8 dead       */ {{X, X, 2, X, X, 8, X, X, X, 7, 7, X, X, X, 8, 8}},
}};
// clang-format on

}  // namespace internal

// The state after `transition`, or nothing where it is illegal.
constexpr std::optional<State> Next(State from, Transition transition) {
  const int8_t next = internal::kNext[static_cast<size_t>(from)][static_cast<size_t>(transition)];
  if (next == internal::X) return std::nullopt;
  return static_cast<State>(next);
}

// As Next(); FailedPrecondition in Docker's words that names the container and its state.
absl::StatusOr<State> Follow(const Container& container, Transition transition);

// Whether a process of it exists, as far as is known.
constexpr bool HasProcess(State state) {
  return state == State::kRunning || state == State::kPaused || state == State::kStopping;
}

// Docker's word: "created", "running", "paused", "restarting", "removing", "exited", "dead". What
// starts is still what it was: "created", "exited" or, by its policy, "restarting".
absl::string_view DockerStatus(const Container& container);
absl::string_view StateName(State state);
// "starting", "healthy", "unhealthy", "none".
absl::string_view HealthName(Health::Status status);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_CONTAINER_STATE_H_
