#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/streams/exec_streams.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kSupervisorTimeout = absl::Seconds(10);
constexpr absl::Duration kRootKept = absl::Seconds(1);
constexpr absl::Duration kStreamEndPatience = absl::Seconds(2);
constexpr uint32_t kBothEnded = kEntryStdoutEnded | kEntryStderrEnded;

}  // namespace

absl::Status Runtime::SaveActual(Container& container) {
  return container.WithLatest([&](const Actual& latest) {
    return parts_.store->Save({.id = container.id(), .actual = &latest});
  });
}

// The state and the event that tells of it, in one write.
absl::Status Runtime::SaveWithEvent(Container& container, HostEvent::Kind kind) {
  return container.WithLatest([&](const Actual& latest) {
    return events_->Append({.kind = kind, .container = container.Report()},
                           {.id = container.id(), .actual = &latest});
  });
}

// From the supervisor's reader thread: nothing may block here.
void Runtime::OnExit(const EntryInfo& entry) {
  {
    absl::MutexLock lock(&mutex_);
    if (!reconciled_) {
      early_exits_.push_back(entry);
      return;
    }
  }
  executor_->Post([this, entry] {
    if (entry.kind == EntryKind::kContainer) {
      ContainerExited(entry);
    } else {
      ExecExited(entry);
    }
  });
}

void Runtime::Forget(const std::string& id) {
  const absl::Status status = supervisor_->Forget(id, kSupervisorTimeout);
  if (!status.ok() && !absl::IsNotFound(status) && !absl::IsCancelled(status)) {
    Log(LogLevel::kWarning, "the supervisor did not forget an entry",
        {{"id", id}, {"error", std::string(status.message())}});
  }
}

// Where the run's output ends. Descendants that still hold a stream are ended first: with the
// process that a container is, the container ends.
uint64_t Runtime::AwaitStreamEnds(Container& container, const EntryInfo& entry) {
  auto slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
  if (slot.ok() && (slot->flags & kBothEnded) != kBothEnded) {
    parts_.cgroups->Kill(container.definition().cgroup_name()).IgnoreError();
    const absl::Time give_up = absl::Now() + kStreamEndPatience;
    while (slot.ok() && (slot->flags & kBothEnded) != kBothEnded && absl::Now() < give_up) {
      // Waits for progress as the supervisor tells it, and looks again every 20 ms at the latest.
      absl::MutexLock lock(&mutex_);
      progress_.WaitWithTimeout(&mutex_, absl::Milliseconds(20));
      slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
    }
  }
  return slot.ok() ? std::max(slot->spool_committed, entry.spool_committed) : entry.spool_committed;
}

void Runtime::ContainerExited(const EntryInfo& entry) {
  auto found = Find(entry.id);
  if (!found.ok()) {
    parts_.cgroups->Kill(entry.id).IgnoreError();
    Forget(entry.id);
    parts_.cgroups->Remove(entry.id).IgnoreError();
    return;
  }
  const std::shared_ptr<Container> container = *std::move(found);
  const Container::Turn turn(*container);
  const Actual before = container->actual();
  const bool known = before.incarnation != entry.incarnation || before.pid == 0;
  if (known) {
    // Told again after a reconnection, or of a start that was given up; by now it may be forgotten,
    // and the id another run's.
    const auto slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
    if (!absl::IsNotFound(slot.status())) Forget(entry.id);
    return;
  }
  const auto oom_kills = parts_.cgroups->ReadOomKills(container->definition().cgroup_name());
  container->Apply(ContainerEvent::kExit).IgnoreError();
  const auto finish = [&](Actual& now) {
    now.pid = 0;
    now.exit_code = entry.ExitCode();
    now.finished_ns = static_cast<int64_t>(entry.exit_time_ns);
    now.oom_killed = oom_kills.ok() && *oom_kills > 0;
    now.endpoints.clear();
    now.paused = false;
  };
  const auto slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
  const bool streams_ended = slot.ok() && (slot->flags & kBothEnded) == kBothEnded;
  std::shared_ptr<Output> output = container->output();
  if (streams_ended) output->EndRun(slot->spool_committed, entry.ExitCode());
  container->Update([&](Actual& now) {
    finish(now);
    now.run_ends = output->RunEndOffsets();
  });
  const absl::Status saved = SaveWithEvent(*container, HostEvent::Kind::kExited);
  if (!saved.ok()) {
    // Kept at the supervisor: the next start of the agent tries again.
    Log(LogLevel::kError, "an exit was not recorded",
        {{"container", entry.id}, {"error", std::string(saved.message())}});
    return;
  }
  parts_.observer->Exited();
  if (!streams_ended) {
    output->EndRun(AwaitStreamEnds(*container, entry), entry.ExitCode());
    container->Update([&](Actual& now) { now.run_ends = output->RunEndOffsets(); });
    SaveActual(*container).IgnoreError();
  }
  OnProgress();
  Forget(entry.id);
  ForgetDns(entry.id);
  parts_.network->Disconnect(entry.id).IgnoreError();
  CleanUpRun(container);
}

// What is left of a run whose process ended. Everything here may be repeated.
void Runtime::CleanUpRun(const std::shared_ptr<Container>& container) {
  const std::string& id = container->id();
  UnwatchOom(*container);
  const std::string group = container->definition().cgroup_name();
  absl::Status removed = parts_.cgroups->Remove(group);
  if (!removed.ok()) {
    parts_.cgroups->Kill(group).IgnoreError();
    removed = parts_.cgroups->Remove(group);
  }
  if (!removed.ok() && !absl::IsNotFound(removed)) {
    Log(LogLevel::kWarning, "a cgroup was not removed",
        {{"container", id}, {"error", std::string(removed.message())}});
  }
  if (const auto handles = container->handles(); handles != nullptr) handles->EndOfRun();
  ReleaseVolumes(container->definition());
  if (container->actual().state == ContainerState::kRemoving) {
    reaper_->Post([this, container] { Reap(container, absl::Now()); });
  } else {
    // The last unmount syncs the file system: a start or a removal that comes at once is spared it.
    reaper_->After(kRootKept, [this, container] { LetGoOfRoot(container); });
  }
}

void Runtime::LetGoOfRoot(const std::shared_ptr<Container>& container) {
  const Container::Turn turn(*container);
  if (container->actual().pid == 0) container->SetHandles(nullptr);
}

void Runtime::ExecExited(const EntryInfo& entry) {
  const std::shared_ptr<Exec> exec = FindExec(entry.id);
  if (exec == nullptr) {
    if (IsDnsEntry(entry.id)) DnsExited(entry.id);
    return Forget(entry.id);
  }
  if (exec->record().finished_ns == 0) {
    const ExecRecord record = exec->UpdateRecord([&](ExecRecord& now) {
      now.finished_ns = static_cast<int64_t>(entry.exit_time_ns);
      now.exit_code = entry.ExitCode();
    });
    absl::Status saved;
    if (!exec->transient()) {
      saved = events_->Append({.kind = HostEvent::Kind::kExecExited,
                               .exec = {record.exec_id, record.container_id, record.exit_code}},
                              {.exec = &record});
    }
    if (!saved.ok()) {
      Log(LogLevel::kError, saved.message(), {{"exec", entry.id}});
      return;
    }
    if (auto streams = exec->streams(); streams != nullptr) {
      streams->Exited(record.exit_code);
    }
  }
  exec->SetTerminal(nullptr);
  exec->SetPidfd(nullptr);
  Forget(entry.id);
}

}  // namespace slipway::agent
