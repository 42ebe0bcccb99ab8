#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/references.h"
#include "services/container/domain/verbs.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

absl::Status StartFailed(Core& core, const EntryPtr& entry, const absl::Status& failure) {
  const ContainerPtr now = entry->snapshot();
  auto next = std::make_shared<Container>(*now);
  next->error = std::string(failure.message());
  if (IsUncertain(failure)) {
    core.Record(*entry, std::move(next), {}, Entry::Fire::kNothing);
    return failure;
  }
  const bool first = now->started_unix_ns == 0;
  ASSIGN_OR_RETURN(next->state,
                   Follow(*now, first ? Transition::kFirstStartFailed : Transition::kStartFailed));
  next->exit_code = ExitCodeOfFailedStart(failure, /*otherwise=*/128);
  next->pid = 0;
  const bool auto_remove = next->definition->spec.auto_remove;
  core.Record(*entry, std::move(next), {}, Entry::Fire::kNoStart);
  if (auto_remove) {
    const absl::Status removed = RemoveNow(core, entry);
    if (!removed.ok()) core.observer().Warning("automatic removal", now->id(), removed);
  }
  return failure;
}

}  // namespace

int ExitCodeOfFailedStart(const absl::Status& status, int otherwise) {
  const std::string message = absl::AsciiStrToLower(status.message());
  for (const absl::string_view missing :
       {"executable file not found", "no such file or directory", "enoent"}) {
    if (absl::StrContains(message, missing)) return 127;
  }
  for (const absl::string_view refused :
       {"permission denied", "is a directory", "exec format error", "eacces", "enoexec"}) {
    if (absl::StrContains(message, refused)) return 126;
  }
  return otherwise;
}

absl::StatusOr<bool> StartNow(Core& core, const EntryPtr& entry, Transition transition) {
  const ContainerPtr now = entry->snapshot();
  ASSIGN_OR_RETURN(const State state, Follow(*now, transition));
  if (state != State::kStarting) return true;
  auto intent = std::make_shared<Container>(*now);
  intent->state = state;
  intent->suppress_restart = false;
  intent->restart_after_stop = false;
  if (transition == Transition::kStart) {
    intent->manually_stopped = false;
    intent->restart_count = 0;
    intent->backoff_ms = 0;
  }
  RETURN_IF_ERROR(core.Commit(*entry, std::move(intent), {}));

  absl::StatusOr<StartExtras> extras = LinkExtras(core, *now);
  if (!extras.ok()) return StartFailed(core, entry, extras.status());
  absl::StatusOr<std::vector<HostAttachment>> attachments = AllToHost(core, *now);
  if (!attachments.ok()) return StartFailed(core, entry, attachments.status());
  extras->attachments = *std::move(attachments);
  extras->last_started_unix_ns = now->started_unix_ns;
  const absl::StatusOr<StartResult> started = core.agent().Start(now->id(), *extras);
  if (!started.ok()) return StartFailed(core, entry, started.status());
  auto next = std::make_shared<Container>(*entry->snapshot());
  ASSIGN_OR_RETURN(next->state, Follow(*next, Transition::kStarted));
  next->pid = started->pid;
  next->started_unix_ns = started->started_unix_ns;
  next->endpoints = started->endpoints;
  next->exit_code = 0;
  next->oom_killed = false;
  next->error.clear();
  next->health = FreshHealth(*next);
  entry->pending.out_of_memory = false;
  std::vector<Event> events = VolumeEvents(core, *next, "mount");
  AddNetworkEvents(core, *next, "connect", events);
  events.push_back(core.MakeEvent(*next, "start"));
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kNothing);
  UpdateLinkersOf(core, now->id());
  BeginHealth(core, entry);
  return false;
}

void StartContainer(Core& core, const std::string& reference, Done<bool> done) {
  done = Observed<bool>(core, "start", std::move(done));
  const absl::StatusOr<EntryPtr> entry = core.table().Find(reference);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post([&core, entry = *entry, reference, done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", reference)));
    }
    done(StartNow(core, entry, Transition::kStart));
  });
}

}  // namespace slipway::container
