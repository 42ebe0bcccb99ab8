#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/signal_name.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

constexpr absl::Duration kKillWait = absl::Seconds(10);

// Docker: a run ended on purpose is not restarted; another signal than the stop signal is no end on
// purpose.
bool EndsOnPurpose(const Container& container, int signal) {
  const std::string& stop_signal = container.definition->effective.stop_signal;
  if (signal == SIGKILL || stop_signal.empty()) return true;
  const absl::StatusOr<int> own = ParseSignal(stop_signal);
  return own.ok() && *own == signal;
}

void KillNow(Core& core, const EntryPtr& entry, int signal, DoneStatus done) {
  const ContainerPtr now = entry->snapshot();
  const absl::StatusOr<State> state = Follow(*now, Transition::kKill);
  if (!state.ok()) return done(state.status());
  auto next = std::make_shared<Container>(*now);
  next->state = *state;
  next->manually_stopped = true;
  if (EndsOnPurpose(*now, signal)) next->suppress_restart = true;
  std::vector<Event> events = {core.MakeEvent(*next, "kill", {{"signal", absl::StrCat(signal)}})};
  if (now->state == State::kRestarting) {
    ++entry->pending.restart_timer;
    core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kExit);
    return done(absl::OkStatus());
  }
  const absl::Status written = core.Commit(*entry, std::move(next), std::move(events));
  if (!written.ok()) return done(written);

  const DoneStatus once = Once(std::move(done));
  uint64_t waiting = 0;
  if (signal == SIGKILL) {
    const auto waiter = entry->Wait(WaitCondition::kNextExit,
                                    [once](const WaitOutcome&) { once(absl::OkStatus()); });
    if (!waiter.ok()) return once(waiter.status());
    waiting = *waiter;
  }
  const absl::StatusOr<bool> ran = core.agent().Signal(now->id(), signal);
  // What is frozen hears of the signal when it is thawed.
  if (ran.ok() && now->state == State::kPaused && EndsOnPurpose(*now, signal)) {
    const absl::Status thawed = core.agent().Unpause(now->id());
    if (thawed.ok()) RecordPaused(core, entry, false);
  }
  if (!ran.ok()) {
    entry->CancelWait(waiting);
    return once(ran.status());
  }
  if (signal != SIGKILL) {
    // It has just ended; the report is on its way.
    if (!*ran) {
      return once(absl::FailedPreconditionError(absl::StrCat(
          "Cannot kill container: ", now->id(), ": Container ", now->id(), " is not running")));
    }
    return once(absl::OkStatus());
  }
  core.clock().RunAfter(kKillWait, [entry, waiting, once, id = now->id()] {
    entry->CancelWait(waiting);
    once(absl::DeadlineExceededError(
        absl::StrCat("Cannot kill container: ", id,
                     ": tried to kill container, but did not receive an exit event")));
  });
}

}  // namespace

void KillContainer(Core& core, const std::string& reference, const std::string& signal,
                   DoneStatus done) {
  done = Observed(core, "kill", std::move(done));
  const absl::StatusOr<EntryPtr> entry = core.table().Find(reference);
  if (!entry.ok()) return done(entry.status());
  const absl::StatusOr<int> number = signal.empty() ? SIGKILL : ParseSignal(signal);
  if (!number.ok()) return done(number.status());
  (*entry)->Post([&core, entry = *entry, number = *number, reference, done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", reference)));
    }
    KillNow(core, entry, number, done);
  });
}

}  // namespace slipway::container
