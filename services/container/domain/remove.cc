#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/verbs.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

// How long a removal waits for the report of the end that it brought about.
constexpr absl::Duration kExitWait = absl::Seconds(10);

void TellRemovers(Entry& entry, const absl::Status& status) {
  std::vector<DoneStatus> done = std::move(entry.pending.remove_done);
  entry.pending.remove_done.clear();
  for (const DoneStatus& one : done) one(status);
  std::vector<DoneStatus> restarts = std::move(entry.pending.restart_done);
  entry.pending.restart_done.clear();
  for (const DoneStatus& one : restarts) {
    one(absl::FailedPreconditionError(
        absl::StrCat("container ", entry.snapshot()->id(), " was removed meanwhile")));
  }
}

absl::Status FreeEverything(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  // Whatever becomes of the rest: what is being removed is never started again.
  const auto finish_release = core.image().BeginRelease(now->id());
  const absl::Status removed = core.agent().Remove(now->id());
  const absl::Status released = finish_release();
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  RETURN_IF_ERROR(ReleaseVolumes(core, *now->definition,
                                 now->remove_volumes || now->definition->spec.auto_remove));
  // Found again by ListOwners() after the next start.
  if (!released.ok() && !absl::IsNotFound(released)) {
    core.observer().Warning("image was not released", now->id(), released);
  }
  StoreBatch batch;
  batch.delete_container = now->id();
  RETURN_IF_ERROR(
      core.Write(std::move(batch), {core.MakeEvent(*now, "destroy")}, Durability::kSoon));
  core.table().Erase(*now);
  core.execs().DropContainer(now->id());
  entry->Set(now, Entry::Fire::kRemoved);
  return absl::OkStatus();
}

}  // namespace

absl::Status FinishRemove(Core& core, const EntryPtr& entry) {
  if (entry->removed()) return absl::OkStatus();
  const absl::Status status = FreeEverything(core, entry);
  TellRemovers(*entry, status);
  return status;
}

absl::Status RemoveNow(Core& core, const EntryPtr& entry) {
  const ContainerPtr now = entry->snapshot();
  auto next = std::make_shared<Container>(*now);
  ASSIGN_OR_RETURN(next->state, Follow(*now, Transition::kRemove));
  RETURN_IF_ERROR(core.Commit(*entry, std::move(next), {}));
  return FinishRemove(core, entry);
}

void DriveRemove(Core& core, const EntryPtr& entry) {
  KillRun(core, entry);
  core.clock().RunAfter(kExitWait, [&core, entry] {
    entry->Post([&core, entry] {
      const ContainerPtr now = entry->snapshot();
      if (entry->removed() || now->pid == 0) return;
      // No report came: the agent ends whatever runs.
      const absl::Status status = FinishRemove(core, entry);
      if (!status.ok()) core.observer().Warning("removal", now->id(), status);
    });
  });
}

void RemoveContainer(Core& core, const std::string& reference, RemoveOptions options,
                     DoneStatus done) {
  done = Observed(core, "remove", std::move(done));
  const absl::StatusOr<EntryPtr> found = core.table().Find(reference);
  if (!found.ok()) return done(found.status());
  (*found)->Post([&core, entry = *found, reference, options, done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", reference)));
    }
    const ContainerPtr now = entry->snapshot();
    const absl::StatusOr<State> state =
        Follow(*now, options.force ? Transition::kForceRemove : Transition::kRemove);
    if (!state.ok()) return done(state.status());
    const bool under_way = !entry->pending.remove_done.empty();
    entry->pending.remove_done.push_back(done);
    if (under_way) return;
    ++entry->pending.restart_timer;
    auto next = std::make_shared<Container>(*now);
    next->state = *state;
    next->remove_volumes = options.volumes;
    const absl::Status written = core.Commit(*entry, std::move(next), {});
    if (!written.ok()) return TellRemovers(*entry, written);
    if (now->pid != 0) return DriveRemove(core, entry);
    FinishRemove(core, entry).IgnoreError();
  });
}

}  // namespace slipway::container
