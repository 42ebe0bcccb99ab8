#include "services/container/domain/reconcile.h"

#include <utility>

#include "services/container/domain/attachments.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

constexpr int32_t kLostWithHost = 255;

// It runs; the record may want otherwise.
void FollowIntentRunning(Core& core, const EntryPtr& entry, bool paused) {
  const ContainerPtr now = entry->snapshot();
  if (now->state == State::kStopping) {
    const absl::Status driven = DriveStop(core, entry, paused);
    if (!driven.ok()) core.observer().Warning("stop", now->id(), driven);
  } else if (now->state == State::kRemoving) {
    DriveRemove(core, entry);
  }
}

// It does not run; the record may want otherwise.
void FollowIntentEnded(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  absl::Status status;
  switch (now->state) {
    case State::kStarting:
      status = StartNow(core, entry, Transition::kStart).status();
      break;
    case State::kRestarting:
      ScheduleRestart(core, entry);
      break;
    case State::kRemoving:
      status = FinishRemove(core, entry);
      break;
    case State::kCreated:
      // Its only start failed.
      if (now->definition->spec.auto_remove && !now->error.empty()) status = RemoveNow(core, entry);
      break;
    case State::kExited:
      if (now->definition->spec.auto_remove) status = RemoveNow(core, entry);
      break;
    default:
      break;
  }
  if (!status.ok()) core.observer().Warning("finish what was begun", now->id(), status);
}

bool BelievedToRun(const Container& container) {
  return HasProcess(container.state) || (container.state == State::kRemoving && container.pid != 0);
}

}  // namespace

void ReconcileWith(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence) {
  const ContainerPtr now = entry->snapshot();
  switch (actual.status) {
    case Actual::Status::kRunning:
      RecordStarted(core, entry, actual, sequence);
      RecordPaused(core, entry, actual.paused);
      ReconcileAttachments(core, entry, actual);
      // Of a former process's run.
      if (entry->pending.health_series == 0) BeginHealth(core, entry);
      return FollowIntentRunning(core, entry, actual.paused);
    case Actual::Status::kExited:
      if (BelievedToRun(*now) || actual.started_unix_ns > now->started_unix_ns) {
        // What follows an exit, RecordExit() does.
        return RecordExit(core, entry, actual, sequence);
      }
      return FollowIntentEnded(core, entry);
    case Actual::Status::kPrepared: {
      if (!BelievedToRun(*now)) return FollowIntentEnded(core, entry);
      // The host has forgotten the run: it ended with the host.
      Actual ended;
      ended.container_id = now->id();
      ended.exit_code = kLostWithHost;
      return RecordExit(core, entry, ended, sequence);
    }
    case Actual::Status::kUnspecified:
      break;
  }
}

void ReconcileMissing(Core& core, const EntryPtr& entry, uint64_t sequence) {
  const ContainerPtr now = entry->snapshot();
  if (now->state == State::kRemoving) {
    const absl::Status removed = FinishRemove(core, entry);
    if (!removed.ok()) core.observer().Warning("removal", now->id(), removed);
    return;
  }
  const bool never_ran = now->started_unix_ns == 0;
  if (never_ran && (now->state == State::kCreated || now->state == State::kStarting)) {
    const absl::Status prepared = PrepareAgain(core, *now);
    if (prepared.ok()) return FollowIntentEnded(core, entry);
    core.observer().Warning("prepare again", now->id(), prepared);
    if (IsUncertain(prepared)) return;
  }
  RecordLost(core, entry, sequence);
}

void ReconcileEvent(Core& core, const EntryPtr& entry, const AgentEvent& event) {
  if (const auto* started = std::get_if<ContainerStarted>(&event.kind)) {
    RecordStarted(core, entry, started->actual, event.sequence);
  } else if (const auto* exited = std::get_if<ContainerExited>(&event.kind)) {
    RecordExit(core, entry, exited->actual, event.sequence);
  } else if (std::get_if<OutOfMemory>(&event.kind) != nullptr) {
    RecordOutOfMemory(core, entry);
  } else if (std::get_if<ContainerRemoved>(&event.kind) != nullptr) {
    // Ours are gone from the table, or are about to be.
    if (event.sequence > entry->snapshot()->agent_sequence) {
      ReconcileMissing(core, entry, event.sequence);
    }
  }
}

void ReconcileExec(Core& core, const ExecExited& exited) { RecordExecExit(core, exited); }

}  // namespace slipway::container
