#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/run_state.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/kernel/mount.h"

// Most containers are started as soon as they were created. While the answer to their creation is
// on its way, everything of their start that nobody's word is needed for is done: the process
// stands before its exec, and a start lets it go. What changes or looks at the container before
// that, and time, undo it; the start then does it all.
namespace slipway::agent {
namespace {

constexpr absl::Duration kKeptReady = absl::Seconds(2);
constexpr absl::Duration kSupervisorTimeout = absl::Seconds(10);
constexpr absl::Duration kEndPatience = absl::Seconds(2);

using Kind = NamespaceMode::Kind;

// What must be as it is at the start (files of the host, other containers, ports) is not looked at
// before.
bool MayBeReady(const Definition& definition) {
  const bool joins =
      definition.pid.kind == Kind::kContainer || definition.ipc.kind == Kind::kContainer ||
      definition.uts.kind == Kind::kContainer || definition.network.kind == Kind::kContainer;
  // Which networks it will be in, and as what, the start says.
  const bool named_network =
      definition.network.kind == Kind::kBridge && !definition.network.container_id.empty();
  if (joins || named_network || !definition.ports.empty()) return false;
  for (const DefinedMount& mount : definition.mounts) {
    if (mount.kind == DefinedMount::Kind::kBind) return false;
  }
  return true;
}

// Whether the start asks for what was made: a place in the default bridge, or none of its own.
bool IsAsMade(const Definition& definition, const StartCommand& command) {
  if (!command.env.empty() || !command.extra_hosts.empty()) return false;
  if (!command.attachments.has_value()) return true;
  if (definition.network.kind != Kind::kBridge) return command.attachments->empty();
  if (command.attachments->size() != 1) return false;
  const AttachmentSpec& only = command.attachments->front();
  return only.network_id == kDefaultNetworkId && only.address.empty() && only.address6.empty() &&
         only.mac_address == definition.mac_address && only.driver_options.empty();
}

}  // namespace

struct Runtime::ReadyRun {
  RunState run;
  EntryInfo entry;
  UniqueFd pidfd;
};

void Runtime::MakeReadySoon(const Container& container) {
  if (settings_.ready_runs == 0 || !MayBeReady(container.definition())) return;
  for (const DefinedMount& mount : container.definition().mounts) {
    // What is mounted for a volume is mounted as long as one that has it runs.
    if (const std::string volume = VolumeOf(mount); !volume.empty() && !volumes_->IsPlain(volume)) {
      return;
    }
  }
  executor_->Post([this, id = container.id()] {
    const auto found = Find(id);
    if (found.ok()) MakeReady(*found);
  });
}

void Runtime::MakeReady(const std::shared_ptr<Container>& container) {
  const Container::Turn turn(*container);
  if (container->actual().state != ContainerState::kPrepared) return;
  {
    absl::MutexLock lock(&mutex_);
    if (ready_.size() >= settings_.ready_runs) return;
    ready_[container->id()] = nullptr;
  }
  auto ready = std::make_shared<ReadyRun>();
  // What fails is told by the start, which fails in the same way.
  absl::Status status = Execute(*container, ready->run);
  if (status.ok()) {
    auto spawned = Spawn(*container, ready->run, /*hold=*/true);
    status = spawned.status();
    if (spawned.ok()) {
      ready->entry = spawned->entry;
      ready->pidfd = std::move(spawned->fds.pidfd);
      auto mounts = MountNamespaceOf(ready->pidfd.get());
      if (mounts.ok()) ready->run.mount_namespace = *std::move(mounts);
    }
  }
  absl::MutexLock lock(&mutex_);
  if (!status.ok()) {
    ready_.erase(container->id());
    return;
  }
  ready_[container->id()] = std::move(ready);
  reaper_->After(kKeptReady, [this, id = container->id()] {
    const auto found = Find(id);
    if (!found.ok()) return;
    const Container::Turn turn(**found);
    DropReady(id);
  });
}

// Called in the container's turn, so that no entry is still in the making.
std::shared_ptr<Runtime::ReadyRun> Runtime::TakeReady(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = ready_.find(id);
  if (found == ready_.end()) return nullptr;
  std::shared_ptr<ReadyRun> ready = std::move(found->second);
  ready_.erase(found);
  return ready;
}

// Ends a process that was never let go of, and waits until the supervisor has forgotten it.
void Runtime::EndHeld(const EntryInfo& entry, int pidfd) {
  syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  const absl::Time give_up = absl::Now() + kEndPatience;
  while (absl::Now() < give_up) {
    const auto slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
    if (!slot.ok()) return;
    if (slot->state == EntryState::kExited) break;
    // Its end wakes us; it is looked at again every 20 ms at the latest.
    absl::MutexLock lock(&mutex_);
    progress_.WaitWithTimeout(&mutex_, absl::Milliseconds(20));
  }
  Forget(entry.id);
}

void Runtime::DropReady(const std::string& id) {
  const std::shared_ptr<ReadyRun> ready = TakeReady(id);
  if (ready != nullptr) EndHeld(ready->entry, ready->pidfd.get());
}

void Runtime::DropAllReady() {
  std::map<std::string, std::shared_ptr<ReadyRun>> all;
  {
    absl::MutexLock lock(&mutex_);
    all.swap(ready_);
  }
  for (const auto& [id, ready] : all) {
    if (ready != nullptr) EndHeld(ready->entry, ready->pidfd.get());
  }
}

// NotFound without one, or when it cannot serve this start.
absl::StatusOr<SpawnResult> Runtime::StartReady(Container& container, const StartCommand& command,
                                                std::unique_ptr<RunState>& run) {
  std::shared_ptr<ReadyRun> ready = TakeReady(container.id());
  if (ready == nullptr) return absl::NotFoundError("nothing is ready");
  absl::Status status = IsAsMade(container.definition(), command)
                            ? absl::OkStatus()
                            : absl::NotFoundError("made for another start");
  if (status.ok()) {
    container.Update([&](Actual& now) { now.endpoints = ready->run.connected; });
    status = SaveActual(container);
  }
  if (status.ok()) {
    auto started = supervisor_->Start(container.id(), kSupervisorTimeout);
    status = started.status();
    const bool failed = !started.ok() && GetSpawnFailure(status).has_value();
    if (started.ok() || failed) {
      ready->run.began = run->began;
      *run = std::move(ready->run);
      return started;
    }
  }
  EndHeld(ready->entry, ready->pidfd.get());
  return absl::NotFoundError(status.message());
}

// Those of an agent before this one: its promise to let them go has ended with it.
void Runtime::EndHeldRuns(std::vector<EntryInfo>& entries) {
  for (auto entry = entries.begin(); entry != entries.end();) {
    // A held process that ended is told like any other that did, but it has never begun.
    const bool held = entry->kind == EntryKind::kContainer && (entry->flags & kEntryHold) != 0 &&
                      (entry->flags & kEntryReleased) == 0 && entry->start_time_ns == 0;
    if (!held) {
      ++entry;
      continue;
    }
    const auto fds = supervisor_->GetFds(entry->id, kSupervisorTimeout);
    if (fds.ok()) EndHeld(*entry, fds->pidfd.get());
    entry = entries.erase(entry);
  }
}

}  // namespace slipway::agent
