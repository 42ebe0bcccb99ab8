#include "services/container/domain/host_sync.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/reconcile.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(50);
constexpr absl::Duration kLastDelay = absl::Seconds(1);
constexpr int kComparisons = 20;

// Other owners than containers are not ours to release.
bool LooksLikeId(const std::string& owner) {
  return owner.size() == 64 && std::all_of(owner.begin(), owner.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

void SequenceTracker::Reset(uint64_t sequence) {
  absl::MutexLock lock(&mu_);
  begun_.clear();
  last_ = sequence;
}

void SequenceTracker::Begin(uint64_t sequence) {
  absl::MutexLock lock(&mu_);
  begun_.insert(sequence);
  last_ = std::max(last_, sequence);
}

uint64_t SequenceTracker::Finish(uint64_t sequence) {
  absl::MutexLock lock(&mu_);
  begun_.erase(sequence);
  return begun_.empty() ? last_ : *begun_.begin() - 1;
}

void HostSync::Start() {
  thread_ = std::thread([this] { Run(); });
}

bool HostSync::WaitForFirst(absl::Duration timeout) {
  return first_.WaitForNotificationWithTimeout(timeout);
}

void HostSync::Stop() {
  if (!thread_.joinable()) return;
  stop_.Notify();
  core_.agent().CancelWatch();
  thread_.join();
}

void HostSync::Run() {
  absl::Duration delay = kFirstDelay;
  bool warned = false;
  while (!stop_.HasBeenNotified()) {
    const absl::Time begin = absl::Now();
    const absl::Status status = Follow();
    if (stop_.HasBeenNotified()) return;
    if (absl::Now() - begin > absl::Seconds(5)) {
      delay = kFirstDelay;
      warned = false;
    }
    if (!warned) core_.observer().Warning("host is out of reach", core_.host().host_id, status);
    warned = true;
    stop_.WaitForNotificationWithTimeout(delay);
    delay = std::min(delay * 2, kLastDelay);
  }
}

absl::Status HostSync::Follow() {
  ASSIGN_OR_RETURN(HostInfo host, core_.agent().GetHost());
  if (host.host_id != core_.host().host_id) core_.SetAgentSequence(0);
  core_.SetHost(std::move(host));
  // An agent of a former version knows of neither.
  const absl::Status networks = ReconcileNetworks(core_);
  if (!networks.ok() && !absl::IsUnimplemented(networks)) return networks;
  uint64_t sequence = 0;
  RETURN_IF_ERROR(CompareAll(&sequence));
  const absl::Status volumes = SyncVolumes(core_);
  if (!volumes.ok() && !absl::IsUnimplemented(volumes)) return volumes;
  if (!first_.HasBeenNotified()) first_.Notify();
  if (!owners_compared_) CompareImageOwners();
  // An agent that counts from the beginning again has lost its log; the list was all it could say.
  if (sequence < core_.agent_sequence()) core_.SetAgentSequence(sequence);
  tracker_.Reset(core_.agent_sequence());
  absl::Status watched = core_.agent().Watch(core_.agent_sequence(),
                                             [this](const AgentEvent& event) { OnEvent(event); });
  if (!absl::IsDataLoss(watched)) return watched;
  RETURN_IF_ERROR(CompareAll(&sequence));
  core_.SetAgentSequence(sequence);
  tracker_.Reset(sequence);
  return core_.agent().Watch(sequence, [this](const AgentEvent& event) { OnEvent(event); });
}

absl::Status HostSync::CompareAll(uint64_t* sequence) {
  for (int i = 0; i < kComparisons; ++i) {
    uint64_t listed = 0;
    ASSIGN_OR_RETURN(const int left, Compare(&listed));
    // Events after the first list are still needed for what was looked at by it.
    if (i == 0) *sequence = listed;
    if (left == 0) return absl::OkStatus();
    if (stop_.WaitForNotificationWithTimeout(absl::Milliseconds(20))) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> HostSync::Compare(uint64_t* sequence) {
  // Versions first: whatever changed since then may be newer than the list.
  std::vector<std::pair<EntryPtr, uint64_t>> entries;
  for (EntryPtr& entry : core_.table().All()) {
    const uint64_t version = entry->version();
    entries.emplace_back(std::move(entry), version);
  }
  ASSIGN_OR_RETURN(const ActualList list, core_.agent().List());
  *sequence = list.sequence;
  // After the agent lost its log its numbers say nothing about the records.
  const uint64_t usable = list.sequence < core_.agent_sequence() ? 0 : list.sequence;
  absl::flat_hash_map<absl::string_view, const Actual*> actual;
  for (const Actual& one : list.containers) actual[one.container_id] = &one;

  struct Shared {
    explicit Shared(int count) : counter(count) {}
    absl::BlockingCounter counter;
    std::atomic<int> changed{0};
  };
  auto shared = std::make_shared<Shared>(static_cast<int>(entries.size()));
  for (const auto& [entry, version] : entries) {
    const auto found = actual.find(entry->snapshot()->id());
    std::optional<Actual> one;
    if (found != actual.end()) one = *found->second;
    entry->Post([this, shared, entry = entry, version = version, usable, one = std::move(one)] {
      if (entry->removed() || entry->version() != version) {
        if (!entry->removed()) ++shared->changed;
      } else if (one.has_value()) {
        ReconcileWith(core_, entry, *one, usable);
      } else {
        ReconcileMissing(core_, entry, usable);
      }
      shared->counter.DecrementCount();
    });
  }
  shared->counter.Wait();
  RemoveUnknown(list);
  UndoIntents();
  return shared->changed.load();
}

void HostSync::RemoveUnknown(const ActualList& list) {
  const std::vector<std::string> intents = core_.intents();
  for (const Actual& one : list.containers) {
    if (core_.table().Knows(one.container_id)) continue;
    const bool ours = std::find(intents.begin(), intents.end(), one.container_id) != intents.end();
    // What never ran holds nothing; anything else may be somebody's data, whose record was lost.
    if (!ours && one.status != Actual::Status::kPrepared) {
      core_.observer().Warning("the host has a container without a record; it is left alone",
                               one.container_id, absl::NotFoundError("no record"));
      continue;
    }
    const absl::Status removed = core_.agent().Remove(one.container_id);
    if (!removed.ok()) {
      core_.observer().Warning("removal of an unknown container", one.container_id, removed);
    }
  }
}

void HostSync::UndoIntents() {
  for (const std::string& id : core_.intents()) {
    if (core_.table().FindById(id) == nullptr) {
      if (core_.table().Knows(id)) continue;  // being created now
      const absl::Status removed = core_.agent().Remove(id);
      if (!removed.ok() && !absl::IsNotFound(removed)) continue;
      const absl::Status released = core_.image().Release(id);
      if (!released.ok() && !absl::IsNotFound(released)) continue;
      if (!RemoveVolumesMadeFor(core_, id).ok()) continue;
    }
    StoreBatch batch;
    batch.delete_intent = id;
    if (core_.Write(std::move(batch), {}, Durability::kSoon).ok()) core_.ForgetIntent(id);
  }
}

// Image-service keeps who holds what, but not through every power cut.
void HostSync::CompareImageOwners() {
  const auto owners = core_.image().ListOwners();
  if (!owners.ok()) return;
  owners_compared_ = true;
  absl::flat_hash_set<absl::string_view> holding;
  for (const std::string& owner : *owners) {
    holding.insert(owner);
    if (!LooksLikeId(owner) || core_.table().Knows(owner)) continue;
    const absl::Status released = core_.image().Release(owner);
    if (!released.ok()) owners_compared_ = false;
  }
  for (const EntryPtr& entry : core_.table().All()) {
    const ContainerPtr container = entry->snapshot();
    if (holding.contains(container->id()) || container->state == State::kRemoving) continue;
    const absl::Status acquired =
        core_.image().Acquire(container->definition->image_id, container->id()).status();
    if (!acquired.ok()) core_.observer().Warning("hold the image", container->id(), acquired);
    // Removed meanwhile: its release came first.
    if (entry->removed()) core_.image().Release(container->id()).IgnoreError();
  }
}

void HostSync::Finished(uint64_t sequence) { core_.SetAgentSequence(tracker_.Finish(sequence)); }

void HostSync::OnEvent(const AgentEvent& event) {
  const uint64_t sequence = event.sequence;
  tracker_.Begin(sequence);
  if (const auto* exec = std::get_if<ExecExited>(&event.kind)) {
    core_.executor().Post([this, exec = *exec, sequence] {
      ReconcileExec(core_, exec);
      Finished(sequence);
    });
    return;
  }
  std::string id;
  if (const auto* started = std::get_if<ContainerStarted>(&event.kind)) {
    id = started->actual.container_id;
  } else if (const auto* exited = std::get_if<ContainerExited>(&event.kind)) {
    id = exited->actual.container_id;
  } else if (const auto* removed = std::get_if<ContainerRemoved>(&event.kind)) {
    id = removed->container_id;
  } else if (const auto* starved = std::get_if<OutOfMemory>(&event.kind)) {
    id = starved->container_id;
  }
  const EntryPtr entry = core_.table().FindById(id);
  if (entry == nullptr) return Finished(sequence);
  entry->Post([this, entry, event] {
    ReconcileEvent(core_, entry, event);
    Finished(event.sequence);
  });
}

}  // namespace slipway::container
