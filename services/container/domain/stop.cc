#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/signal_name.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

constexpr int32_t kDefaultStopSeconds = 10;
constexpr int32_t kMaximumStopSeconds = 365 * 24 * 3600;

absl::StatusOr<int> StopSignal(const Container& container, const std::string& asked) {
  if (!asked.empty()) return ParseSignal(asked);
  const std::string& own = container.definition->effective.stop_signal;
  if (!own.empty()) return ParseSignal(own);
  return SIGTERM;
}

// The record of a stop that begins now.
std::shared_ptr<Container> Stopping(Core& core, const Container& now, const StopCommand& command,
                                    int signal) {
  auto next = std::make_shared<Container>(now);
  next->manually_stopped = true;
  next->suppress_restart = true;
  next->stop_signal = signal;
  const int32_t seconds = command.timeout_seconds.value_or(
      now.definition->spec.stop_timeout_seconds.value_or(kDefaultStopSeconds));
  next->stop_has_deadline = seconds >= 0;
  next->stop_deadline_unix_ns =
      core.clock().NowUnixNs() + int64_t{std::min(seconds, kMaximumStopSeconds)} * 1'000'000'000;
  return next;
}

// Sends the stop's signal, and arms its deadline.
absl::Status SendStop(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  const int64_t left_ns = now->stop_deadline_unix_ns - core.clock().NowUnixNs();
  if (now->stop_signal == SIGKILL || (now->stop_has_deadline && left_ns <= 0)) {
    KillRun(core, entry);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(
      core.Write({}, {core.MakeEvent(*now, "kill", {{"signal", absl::StrCat(now->stop_signal)}})},
                 Durability::kSoon));
  // Armed first: the grace period ends also when the agent was away at its beginning.
  if (now->stop_has_deadline) {
    const uint64_t timer = ++entry->pending.stop_timer;
    core.clock().RunAfter(absl::Nanoseconds(left_ns), [&core, entry, timer] {
      entry->Post([&core, entry, timer] {
        if (entry->pending.stop_timer == timer) KillRun(core, entry);
      });
    });
  }
  return core.agent().Signal(now->id(), now->stop_signal).status();
}

void StopNow(Core& core, const EntryPtr& entry, const StopCommand& command, Done<bool> done) {
  const ContainerPtr now = entry->snapshot();
  const absl::StatusOr<State> state = Follow(*now, Transition::kStop);
  if (!state.ok()) return done(state.status());
  if (*state == now->state && *state != State::kStopping) return done(true);
  const absl::StatusOr<int> signal = StopSignal(*now, command.signal);
  if (!signal.ok()) return done(signal.status());
  std::shared_ptr<Container> next = Stopping(core, *now, command, *signal);
  next->state = *state;
  next->restart_after_stop = false;
  if (*state == State::kExited) {  // it waited for its restart
    ++entry->pending.restart_timer;
    core.Record(*entry, next, {core.MakeEvent(*next, "stop")}, Entry::Fire::kExit);
    return done(false);
  }
  const absl::Status written = core.Commit(*entry, std::move(next), {});
  if (!written.ok()) return done(written);
  const DoneStatus once = Once([done = std::move(done)](absl::Status status) {
    status.ok() ? done(false) : done(std::move(status));
  });
  const auto waiting =
      entry->Wait(WaitCondition::kNextExit, [once](const WaitOutcome&) { once(absl::OkStatus()); });
  if (!waiting.ok()) return once(waiting.status());
  const absl::Status driven = DriveStop(core, entry, now->state == State::kPaused);
  if (!driven.ok()) {
    entry->CancelWait(*waiting);
    once(driven);
  }
}

void RestartNow(Core& core, const EntryPtr& entry, const StopCommand& command, DoneStatus done) {
  const ContainerPtr now = entry->snapshot();
  const absl::StatusOr<State> state = Follow(*now, Transition::kStop);
  if (!state.ok()) return done(state.status());
  const auto finish = [&core, entry, done](absl::Status status) {
    if (status.ok()) {
      StoreBatch batch;
      core.Write(std::move(batch), {core.MakeEvent(*entry->snapshot(), "restart")},
                 Durability::kSoon)
          .IgnoreError();
    }
    done(std::move(status));
  };
  if (*state != State::kStopping) {
    if (now->state == State::kRestarting) {
      ++entry->pending.restart_timer;
      auto next = std::make_shared<Container>(*now);
      next->state = *state;
      core.Record(*entry, std::move(next), {}, Entry::Fire::kNothing);
    }
    return finish(StartNow(core, entry, Transition::kStart).status());
  }
  const absl::StatusOr<int> signal = StopSignal(*now, command.signal);
  if (!signal.ok()) return done(signal.status());
  std::shared_ptr<Container> next = Stopping(core, *now, command, *signal);
  next->state = *state;
  next->restart_after_stop = true;
  const absl::Status written = core.Commit(*entry, std::move(next), {});
  if (!written.ok()) return done(written);
  entry->pending.restart_done.push_back(finish);
  const absl::Status driven = DriveStop(core, entry, now->state == State::kPaused);
  if (driven.ok()) return;
  entry->pending.restart_done.pop_back();
  done(driven);
}

template <typename T, typename Operation>
void Queue(Core& core, const StopCommand& command, T done, Operation operation) {
  const absl::StatusOr<EntryPtr> entry = core.table().Find(command.reference);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post([&core, entry = *entry, command, operation, done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", command.reference)));
    }
    operation(core, entry, command, done);
  });
}

}  // namespace

absl::Status DriveStop(Core& core, const EntryPtr& entry, bool paused) {
  RETURN_IF_ERROR(SendStop(core, entry));
  // What is frozen hears of its signals when it is thawed.
  return paused ? core.agent().Unpause(entry->snapshot()->id()) : absl::OkStatus();
}

void KillRun(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  if (entry->removed() || (now->state != State::kStopping && now->state != State::kRemoving))
    return;
  core.Write({}, {core.MakeEvent(*now, "kill", {{"signal", "9"}})}, Durability::kSoon)
      .IgnoreError();
  const absl::StatusOr<bool> sent = core.agent().Signal(now->id(), SIGKILL);
  if (sent.ok() || !IsUncertain(sent.status())) return;
  const uint64_t timer = ++entry->pending.stop_timer;
  core.clock().RunAfter(absl::Seconds(1), [&core, entry, timer] {
    entry->Post([&core, entry, timer] {
      if (entry->pending.stop_timer == timer) KillRun(core, entry);
    });
  });
}

void StopContainer(Core& core, StopCommand command, Done<bool> done) {
  Queue(core, command, Observed<bool>(core, "stop", std::move(done)), StopNow);
}

void RestartContainer(Core& core, StopCommand command, DoneStatus done) {
  Queue(core, command, Observed(core, "restart", std::move(done)), RestartNow);
}

}  // namespace slipway::container
