#include <utility>

#include "absl/strings/str_cat.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/restart_policy.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

constexpr absl::Duration kDeadKept = absl::Hours(24);

// A report about a run before the recorded one.
bool IsOld(const Container& now, const Actual& actual, uint64_t sequence) {
  if (sequence != 0 && sequence <= now.agent_sequence) return true;
  return actual.started_unix_ns != 0 && now.started_unix_ns != 0 &&
         actual.started_unix_ns < now.started_unix_ns;
}

std::vector<Event> ExitEvents(Core& core, const Entry& entry, const Container& next, bool stopped) {
  std::vector<Event> events;
  if (next.oom_killed && !entry.pending.out_of_memory)
    events.push_back(core.MakeEvent(next, "oom"));
  const int64_t seconds =
      std::max<int64_t>(0, (next.finished_unix_ns - next.started_unix_ns) / 1'000'000'000);
  events.push_back(core.MakeEvent(
      next, "die",
      {{"exitCode", absl::StrCat(next.exit_code)}, {"execDuration", absl::StrCat(seconds)}}));
  AddNetworkEvents(core, next, "disconnect", events);
  for (Event& event : VolumeEvents(core, next, "unmount")) events.push_back(std::move(event));
  if (stopped) events.push_back(core.MakeEvent(next, "stop"));
  return events;
}

void AfterExit(Core& core, const EntryPtr& entry, bool restart_now) {
  const ContainerPtr now = entry->snapshot();
  if (now->state == State::kRemoving) {
    const absl::Status removed = FinishRemove(core, entry);
    if (!removed.ok()) core.observer().Warning("removal", now->id(), removed);
    return;
  }
  if (restart_now) {
    const absl::Status started = StartNow(core, entry, Transition::kStart).status();
    std::vector<DoneStatus> done = std::move(entry->pending.restart_done);
    entry->pending.restart_done.clear();
    for (const DoneStatus& one : done) one(started);
    return;
  }
  if (now->state == State::kRestarting) return ScheduleRestart(core, entry);
  if (now->definition->spec.auto_remove) {
    const absl::Status removed = RemoveNow(core, entry);
    if (!removed.ok()) core.observer().Warning("automatic removal", now->id(), removed);
  }
}

// What its host does not know holds nothing: its record goes after a day, in which somebody may
// look at it, or the host may be repaired.
void ScheduleBurial(Core& core, const EntryPtr& entry) {
  const uint64_t timer = ++entry->pending.burial_timer;
  const int64_t dead_ns = core.clock().NowUnixNs() - entry->snapshot()->finished_unix_ns;
  const absl::Duration left = kDeadKept - absl::Nanoseconds(dead_ns);
  core.clock().RunAfter(std::max(left, absl::ZeroDuration()), [&core, entry, timer] {
    entry->Post([&core, entry, timer] {
      const ContainerPtr now = entry->snapshot();
      if (entry->removed() || entry->pending.burial_timer != timer) return;
      if (now->state != State::kDead) return;
      const absl::Status removed = RemoveNow(core, entry);
      if (!removed.ok()) core.observer().Warning("removal of a dead one", now->id(), removed);
    });
  });
}

void CountRestart(Container& next) {
  next.state = State::kRestarting;
  ++next.restart_count;
  next.backoff_ms = NextBackoffMs(next.backoff_ms, next.finished_unix_ns - next.started_unix_ns);
}

}  // namespace

void RecordExit(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence) {
  const ContainerPtr now = entry->snapshot();
  if (entry->removed() || IsOld(*now, actual, sequence)) return;
  std::optional<State> state = Next(now->state, Transition::kExit);
  // A run that started and ended while nobody looked.
  if (!state.has_value() && actual.started_unix_ns > now->started_unix_ns) state = State::kExited;
  if (!state.has_value()) return;
  ++entry->pending.stop_timer;
  EndHealth(entry);
  auto next = std::make_shared<Container>(*now);
  next->state = *state;
  next->health = HealthAfterTheEnd(*now);
  next->pid = 0;
  next->exit_code = actual.exit_code;
  next->oom_killed = actual.oom_killed;
  if (actual.started_unix_ns != 0) next->started_unix_ns = actual.started_unix_ns;
  next->finished_unix_ns =
      actual.finished_unix_ns != 0 ? actual.finished_unix_ns : core.clock().NowUnixNs();
  next->endpoints.clear();
  if (sequence != 0) next->agent_sequence = sequence;
  const bool stopped = now->state == State::kStopping;
  const bool restart_now = stopped && now->restart_after_stop;
  next->stop_has_deadline = false;
  if (next->state == State::kExited && !restart_now && ShouldRestart(*next)) CountRestart(*next);
  std::vector<Event> events = ExitEvents(core, *entry, *next, stopped);
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kExit);
  AfterExit(core, entry, restart_now);
}

void RecordStarted(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence) {
  const ContainerPtr now = entry->snapshot();
  if (entry->removed() || IsOld(*now, actual, sequence)) return;
  const std::optional<State> state = Next(now->state, Transition::kStarted);
  if (!state.has_value()) return;
  // A run whose end is recorded does not begin again.
  const bool ended = now->state == State::kExited || now->state == State::kRestarting;
  if (ended && actual.started_unix_ns == now->started_unix_ns) return;
  auto next = std::make_shared<Container>(*now);
  if (sequence != 0) next->agent_sequence = sequence;
  // What StartNow() recorded already; written with the next change.
  if (now->started_unix_ns == actual.started_unix_ns && now->state == *state) {
    return entry->Set(std::move(next), Entry::Fire::kNothing);
  }
  next->state = *state;
  next->pid = actual.pid;
  next->started_unix_ns = actual.started_unix_ns;
  next->endpoints = actual.endpoints;
  next->exit_code = 0;
  next->error.clear();
  next->health = FreshHealth(*next);
  entry->pending.out_of_memory = false;
  std::vector<Event> events = VolumeEvents(core, *next, "mount");
  AddNetworkEvents(core, *next, "connect", events);
  events.push_back(core.MakeEvent(*next, "start"));
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kNothing);
  BeginHealth(core, entry);
}

void RecordOutOfMemory(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  if (entry->removed() || !HasProcess(now->state)) return;
  entry->pending.out_of_memory = true;
  core.Write({}, {core.MakeEvent(*now, "oom")}, Durability::kSoon).IgnoreError();
}

void RecordLost(Core& core, const EntryPtr& entry, uint64_t sequence) {
  const ContainerPtr now = entry->snapshot();
  const std::optional<State> state = Next(now->state, Transition::kLost);
  if (entry->removed() || !state.has_value()) return;
  if (now->state == State::kDead) return ScheduleBurial(core, entry);
  auto next = std::make_shared<Container>(*now);
  EndHealth(entry);
  next->state = *state;
  next->health = HealthAfterTheEnd(*now);
  next->pid = 0;
  next->endpoints.clear();
  if (sequence != 0) next->agent_sequence = sequence;
  next->error = absl::StrCat("host ", now->definition->host_id, " does not know this container");
  std::vector<Event> events;
  if (HasProcess(now->state) || now->state == State::kStarting) {
    next->exit_code = 255;
    next->finished_unix_ns = core.clock().NowUnixNs();
    events = ExitEvents(core, *entry, *next, false);
  }
  // From here on it says since when it is dead.
  next->finished_unix_ns = core.clock().NowUnixNs();
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kExit);
  ScheduleBurial(core, entry);
  core.observer().Warning("container is lost", now->id(),
                          absl::NotFoundError("its host does not know it"));
}

void ScheduleRestart(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  const uint64_t timer = ++entry->pending.restart_timer;
  core.clock().RunAfter(absl::Milliseconds(now->backoff_ms), [&core, entry, timer] {
    entry->Post([&core, entry, timer] {
      if (entry->removed() || entry->pending.restart_timer != timer) return;
      const ContainerPtr due = entry->snapshot();
      if (due->state != State::kRestarting) return;
      const absl::Status started = StartNow(core, entry, Transition::kStartDue).status();
      core.observer().OperationDone("policy_restart", started, absl::ZeroDuration());
    });
  });
}

}  // namespace slipway::container
