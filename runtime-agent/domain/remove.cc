#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/tree.h"

namespace slipway::agent {
namespace {

// How long a removal waits for the log service to store the last records.
constexpr absl::Duration kLastFlush = absl::Milliseconds(200);
// How long a log outlives its container.
constexpr absl::Duration kLogOutlives = absl::Seconds(1);
constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kLastRetry = absl::Seconds(30);

}  // namespace

absl::Status Runtime::Remove(const std::string& id) {
  auto found = Find(id);
  if (!found.ok()) return absl::OkStatus();  // removed before
  const std::shared_ptr<Container> container = *std::move(found);
  if (container->actual().state == ContainerState::kRemoving) return absl::OkStatus();
  absl::Status applied = container->Apply(ContainerEvent::kRemove);
  if (!applied.ok()) {
    // A start that is under way comes to its end first.
    const Container::Turn turn(*container);
    applied = container->Apply(ContainerEvent::kRemove);
  }
  RETURN_IF_ERROR(applied);
  RETURN_IF_ERROR(SaveActual(*container));
  reaper_->Post([this, container] { Reap(container, absl::Now()); });
  return absl::OkStatus();
}

// Ends the process where there is one, and comes back when its exit was recorded.
void Runtime::Reap(const std::shared_ptr<Container>& container, absl::Time since) {
  const std::string& id = container->id();
  const Container::Turn turn(*container);
  DropReady(id);
  if (container->actual().pid != 0) {
    if (const auto handles = container->handles(); handles != nullptr && handles->pidfd.ok()) {
      syscall(SYS_pidfd_send_signal, handles->pidfd.get(), SIGKILL, nullptr, 0);
    }
    parts_.cgroups->Kill(container->definition().cgroup_name()).IgnoreError();
    return;  // ContainerExited posts the rest
  }
  if (!container->ClaimReaping()) return;
  parts_.network->Disconnect(id).IgnoreError();
  parts_.network->ForgetAddresses(id);
  parts_.cgroups->Remove(container->definition().cgroup_name()).IgnoreError();
  bool has_log = false;
  if (container->actual().runs > 0 && container->definition().ship_log) {
    // Who follows the log of a container that is removed at once gets the end of it.
    const auto flushed = shipper_->Flush(id, absl::Now() + kLastFlush, /*announce=*/false);
    has_log = !flushed.ok() || container->output()->stored();
  }
  shipper_->Forget(id);
  unlink(SpoolPath(id).c_str());
  const absl::Status removed = RemoveTree(Directory(id));
  if (!removed.ok()) {
    Log(LogLevel::kWarning, "a container's files were not all removed",
        {{"container", id}, {"error", std::string(removed.message())}});
  }
  ReleaseVolumes(container->definition());
  // After the files: what is gone need not be synced by the last unmount.
  container->SetHandles(nullptr);
  container->SetLayers({});
  if (!has_log) {
    FinishRemoval(container, since, has_log, kFirstRetry);
    return;
  }
  // dockerd's readers keep the unlinked file; here followers have a moment to read to the end.
  reaper_->After(kLogOutlives,
                 [this, container, since] { FinishRemoval(container, since, true, kFirstRetry); });
}

absl::Status Runtime::RemoveVolume(const std::string& name) {
  RETURN_IF_ERROR(volumes_->Remove(name));
  reaper_->Post([this] { volumes_->DeleteRemoved(); });
  return absl::OkStatus();
}

// The tombstone stays until the log service has let go of the container's records.
void Runtime::FinishRemoval(const std::shared_ptr<Container>& container, absl::Time since,
                            bool has_log, absl::Duration backoff) {
  const std::string& id = container->id();
  if (has_log) {
    const absl::Status deleted = parts_.log->Delete(id);
    if (!deleted.ok()) {
      reaper_->After(backoff, [this, container, since, backoff] {
        FinishRemoval(container, since, true, std::min(backoff * 2, kLastRetry));
      });
      return;
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    containers_.erase(id);
  }
  HostEvent event{.kind = HostEvent::Kind::kRemoved};
  event.container.id = id;
  const absl::Status saved = events_->Append(std::move(event), {.remove_id = id});
  if (!saved.ok()) Log(LogLevel::kError, saved.message(), {{"container", id}});
  parts_.observer->Removed(absl::ToDoubleSeconds(absl::Now() - since));
}

}  // namespace slipway::agent
