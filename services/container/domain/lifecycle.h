#ifndef SERVICES_CONTAINER_DOMAIN_LIFECYCLE_H_
#define SERVICES_CONTAINER_DOMAIN_LIFECYCLE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "services/container/domain/container_state.h"
#include "services/container/domain/core.h"

// The steps that several verbs and the host's events are made of. Each runs inside one of the
// entry's operations (Entry::Post) and may block on the agent. Intent is written before the agent
// is asked.
namespace slipway::container {

// create.cc. For a container that never ran and that its host does not know: a power cut can take
// the host's record and leave ours.
absl::Status PrepareAgain(Core& core, const Container& container);

// start.cc. Whether it ran already. UNAVAILABLE leaves it "starting", for reconciliation to settle.
absl::StatusOr<bool> StartNow(Core& core, const EntryPtr& entry, Transition transition);
// 126 or 127 as a shell has them. dockerd has 128 for other failures of a container, 126 for those
// of an exec.
int ExitCodeOfFailedStart(const absl::Status& status, int otherwise);

// stop.cc. Sends what the entry's stop asks for, and SIGKILL at its deadline; repeatable. `paused`:
// its processes are frozen.
absl::Status DriveStop(Core& core, const EntryPtr& entry, bool paused);
// SIGKILL to the present run, again each second while the agent does not answer.
void KillRun(Core& core, const EntryPtr& entry);

// exit.cc. The end of a run, once: a report that is already part of the record changes nothing.
// Decides what follows: nothing, the next start, removal. `sequence` is zero where there is none.
void RecordExit(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence);
// A run that the record does not have.
void RecordStarted(Core& core, const EntryPtr& entry, const Actual& actual, uint64_t sequence);
// A process of the present run was killed for lack of memory.
void RecordOutOfMemory(Core& core, const EntryPtr& entry);
// The host does not have it: it is "dead", and removed a day later unless the host has it again.
void RecordLost(Core& core, const EntryPtr& entry, uint64_t sequence);
// Waits for the delay that the record says, then starts.
void ScheduleRestart(Core& core, const EntryPtr& entry);

// pause.cc. The host says that the run is, or is not, paused.
void RecordPaused(Core& core, const EntryPtr& entry, bool paused);

// health.cc. Probes the present run from its beginning; EndHealth() before anything else may be
// probed. Both may be called again.
void BeginHealth(Core& core, const EntryPtr& entry);
void EndHealth(const EntryPtr& entry);
// Of a run that begins: "starting", with the log of former runs. Null without a health check.
std::shared_ptr<const Health> FreshHealth(const Container& container);
// Of a run that ended: "unhealthy", as dockerd says. Null without a health check.
std::shared_ptr<const Health> HealthAfterTheEnd(const Container& container);

// remove.cc. Takes down what is left, tells all who wait. The entry is "removing".
absl::Status FinishRemove(Core& core, const EntryPtr& entry);
// From any state in which nothing runs.
absl::Status RemoveNow(Core& core, const EntryPtr& entry);
// Kills what runs and removes it afterwards.
void DriveRemove(Core& core, const EntryPtr& entry);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_LIFECYCLE_H_
