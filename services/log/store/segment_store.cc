#include "services/log/store/segment_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/description_file.h"
#include "services/log/store/segment_file.h"

namespace slipway::log {
namespace {

constexpr int64_t kForgetAfterSeconds = 60;
constexpr int64_t kRollAfterSeconds = 30;
constexpr int64_t kRollEndedAfterSeconds = 2;
constexpr int64_t kSealRetrySeconds = 30;
constexpr absl::Duration kSealerPoll = absl::Milliseconds(20);

// Names in a directory, without "." and "..".
absl::StatusOr<std::vector<std::string>> Names(const std::string& directory) {
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("open directory ", directory));
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(dir);
  return names;
}

// Log directories have files only.
void RemoveDirectory(const std::string& directory) {
  const auto names = Names(directory);
  if (names.ok()) {
    for (const std::string& name : *names) unlink(absl::StrCat(directory, "/", name).c_str());
  }
  if (rmdir(directory.c_str()) != 0 && errno != ENOENT) {
    Log(LogLevel::kWarning, ErrnoStatus(errno, absl::StrCat("remove ", directory)).message());
  }
}

int64_t SteadySeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The container is named once, in the error's beginning.
absl::Status Named(const ContainerId& id, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("log of container ", id.value(), ": ", status.message()));
}

}  // namespace

SegmentStore::SegmentStore(std::string root, const StoreLimits& limits, Counters& counters)
    : containers_(absl::StrCat(root, "/containers")),
      deleting_(absl::StrCat(root, "/deleting")),
      limits_(limits),
      counters_(counters) {}

absl::StatusOr<std::unique_ptr<SegmentStore>> SegmentStore::Open(const std::string& root,
                                                                 const StoreLimits& limits,
                                                                 Counters& counters) {
  std::unique_ptr<SegmentStore> store(new SegmentStore(root, limits, counters));
  RETURN_IF_ERROR(store->Prepare());
  store->sealer_ = std::make_unique<Sealer>();
  store->thread_ = std::thread([raw = store.get()] { raw->Run(); });
  return store;
}

absl::Status SegmentStore::Prepare() {
  RETURN_IF_ERROR(MakeDirectories(containers_, 0750));
  RETURN_IF_ERROR(MakeDirectories(deleting_, 0750));
  ASSIGN_OR_RETURN(const std::vector<std::string> containers, Names(containers_));
  ASSIGN_OR_RETURN(const std::vector<StoredSegment> segments, ListStored());
  int64_t bytes = 0;
  for (const StoredSegment& segment : segments) bytes += static_cast<int64_t>(segment.size_bytes);
  counters_.stored_bytes += bytes;
  counters_.segments += static_cast<int64_t>(segments.size());
  counters_.containers += static_cast<int64_t>(containers.size());
  for (const std::string& container : containers) {
    std::shared_ptr<const LogDescription> told;
    auto description = LoadDescription(absl::StrCat(containers_, "/", container));
    if (description.ok()) {
      told = std::make_shared<const LogDescription>(*std::move(description));
    } else if (!absl::IsNotFound(description.status())) {
      Log(LogLevel::kWarning, description.status().message());
    }
    catalogue_.Put(container, std::move(told));
  }
  for (const StoredSegment& segment : segments) {
    const auto id = ContainerId::Parse(segment.container_id);
    if (!segment.last && !segment.sealed && id.ok()) unsealed_.push_back(*id);
  }
  return absl::OkStatus();
}

SegmentStore::~SegmentStore() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  sealer_.reset();
  Maintain();
}

absl::StatusOr<std::vector<StoredSegment>> SegmentStore::ListStored() const {
  std::vector<StoredSegment> stored;
  ASSIGN_OR_RETURN(const std::vector<std::string> containers, Names(containers_));
  for (const std::string& container : containers) {
    const std::string directory = absl::StrCat(containers_, "/", container);
    // A log that is deleted meanwhile has nothing to add.
    const auto segments = ListSegments(directory);
    if (!segments.ok()) continue;
    for (const auto& [segment, sealed] : *segments) {
      struct stat st;
      const std::string path =
          sealed ? SealedPath(directory, segment) : SegmentPath(directory, segment);
      if (stat(path.c_str(), &st) != 0) continue;
      stored.push_back(
          {.container_id = container,
           .segment = segment,
           .size_bytes = static_cast<uint64_t>(st.st_size),
           .last_write_unix_ns = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec,
           .last = segment == segments->back().first_offset_bytes,
           .sealed = sealed});
    }
  }
  return stored;
}

std::shared_ptr<SegmentStore::Slot> SegmentStore::SlotOf(const std::string& id) {
  absl::MutexLock lock(&mu_);
  std::shared_ptr<Slot>& slot = slots_[id];
  if (slot == nullptr) slot = std::make_shared<Slot>();
  return slot;
}

absl::StatusOr<std::shared_ptr<ContainerLog>> SegmentStore::Find(const ContainerId& id,
                                                                 bool create) {
  // Names of containers that do not exist must not fill the map.
  if (!create) {
    struct stat st;
    if (stat(absl::StrCat(containers_, "/", id.value()).c_str(), &st) != 0 && errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("log of container ", id.value(), ": none"));
    }
  }
  const std::shared_ptr<Slot> slot = SlotOf(id.value());
  absl::MutexLock lock(&slot->mu);
  if (slot->log != nullptr) return slot->log;
  auto log =
      ContainerLog::Open(absl::StrCat(containers_, "/", id.value()), limits_, create, counters_);
  if (!log.ok()) return Named(id, log.status());
  slot->log = *std::move(log);
  catalogue_.Put(id.value(), nullptr);
  const auto description = catalogue_.Find(id.value());
  if (description != nullptr) slot->log->SetLimit(KeptBytes(*description, limits_.container_bytes));
  return slot->log;
}

absl::StatusOr<uint64_t> SegmentStore::Append(const ContainerId& id, const Batch& batch) {
  // Deleted in between: what comes now belongs to a new log.
  for (int attempt = 0; attempt < 8; ++attempt) {
    ASSIGN_OR_RETURN(const std::shared_ptr<ContainerLog> log, Find(id, /*create=*/true));
    auto offset = log->Append(batch);
    if (offset.ok() || offset.status().code() != absl::StatusCode::kAborted) {
      if (!offset.ok()) return Named(id, offset.status());
      return offset;
    }
  }
  return Named(id, absl::AbortedError("deleted again and again while it is appended to"));
}

absl::StatusOr<uint64_t> SegmentStore::AcknowledgedOffset(const ContainerId& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ContainerLog> log, Find(id, /*create=*/false));
  return log->AcknowledgedOffset();
}

absl::StatusOr<LogStats> SegmentStore::Stats(const ContainerId& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ContainerLog> log, Find(id, /*create=*/false));
  return log->Stats();
}

absl::StatusOr<std::shared_ptr<ReadableLog>> SegmentStore::Open(const ContainerId& id) {
  ASSIGN_OR_RETURN(std::shared_ptr<ContainerLog> log, Find(id, /*create=*/false));
  return std::shared_ptr<ReadableLog>(std::move(log));
}

absl::Status SegmentStore::Delete(const ContainerId& id) {
  const auto log = Find(id, /*create=*/false);
  if (log.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();
  RETURN_IF_ERROR(log.status());
  const std::shared_ptr<Slot> slot = SlotOf(id.value());
  // Held over the rename, so that nobody opens the log in between.
  absl::MutexLock slot_lock(&slot->mu);
  if (slot->log != *log) return absl::OkStatus();
  (*log)->MarkDeleted();
  slot->log = nullptr;
  std::string tombstone;
  {
    absl::MutexLock lock(&mu_);
    tombstone = absl::StrCat(deleting_, "/", id.value(), ".", getpid(), ".", next_tombstone_++);
  }
  const std::string directory = absl::StrCat(containers_, "/", id.value());
  if (rename(directory.c_str(), tombstone.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("rename ", directory, " to ", tombstone));
  }
  --counters_.containers;
  catalogue_.Remove(id.value());
  absl::MutexLock lock(&mu_);
  remove_deleted_ = true;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> SegmentStore::Truncate(const ContainerId& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ContainerLog> log, Find(id, /*create=*/false));
  auto bytes = log->Truncate();
  if (!bytes.ok()) return Named(id, bytes.status());
  return bytes;
}

absl::Status SegmentStore::Describe(const ContainerId& id, const LogDescription& description) {
  const auto known = catalogue_.Find(id.value());
  if (known != nullptr && *known == description) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::shared_ptr<ContainerLog> log, Find(id, /*create=*/true));
  RETURN_IF_ERROR(SaveDescription(log->directory(), description));
  log->SetLimit(KeptBytes(description, limits_.container_bytes));
  catalogue_.Put(id.value(), std::make_shared<const LogDescription>(description));
  return absl::OkStatus();
}

std::vector<DescribedLog> SegmentStore::List(uint64_t* version) const {
  return catalogue_.List(version);
}

bool SegmentStore::WaitForChange(uint64_t version, std::function<void()> wake) {
  return catalogue_.Wait(version, std::move(wake));
}

absl::StatusOr<OutletPosition> SegmentStore::LoadOutlet(const ContainerId& id) {
  return LoadOutletPosition(absl::StrCat(containers_, "/", id.value()));
}

absl::Status SegmentStore::SaveOutlet(const ContainerId& id, const OutletPosition& position) {
  return SaveOutletPosition(absl::StrCat(containers_, "/", id.value()), position);
}

std::vector<std::pair<std::string, std::shared_ptr<ContainerLog>>> SegmentStore::OpenLogs() {
  std::vector<std::pair<std::string, std::shared_ptr<Slot>>> slots;
  {
    absl::MutexLock lock(&mu_);
    slots.assign(slots_.begin(), slots_.end());
  }
  std::vector<std::pair<std::string, std::shared_ptr<ContainerLog>>> logs;
  for (const auto& [id, slot] : slots) {
    absl::MutexLock lock(&slot->mu);
    if (slot->log != nullptr) logs.emplace_back(id, slot->log);
  }
  return logs;
}

void SegmentStore::ForgetIdle() {
  const int64_t before = SteadySeconds() - kForgetAfterSeconds;
  std::vector<std::shared_ptr<ContainerLog>> forgotten;
  absl::MutexLock lock(&mu_);
  for (auto at = slots_.begin(); at != slots_.end();) {
    const auto here = at++;
    // Whoever takes a slot holds mu_ then; alone with it, nobody else is about to.
    if (here->second.use_count() > 1 || !here->second->mu.TryLock()) continue;
    std::shared_ptr<ContainerLog>& log = here->second->log;
    const bool idle = log == nullptr || (log.use_count() == 1 && log->last_use_s() < before);
    if (idle && log != nullptr) forgotten.push_back(std::move(log));
    here->second->mu.Unlock();
    if (idle) slots_.erase(here);
  }
}

void SegmentStore::KeepLimits() {
  const bool too_much = counters_.stored_bytes > static_cast<int64_t>(limits_.total_bytes);
  if (!too_much && limits_.age_ns == 0) return;
  auto stored = ListStored();
  if (!stored.ok()) {
    Log(LogLevel::kWarning, stored.status().message());
    return;
  }
  const int64_t oldest = limits_.age_ns == 0 ? 0 : absl::GetCurrentTimeNanos() - limits_.age_ns;
  for (const StoredSegment& victim :
       PlanRetention(*std::move(stored), limits_.total_bytes, oldest)) {
    const auto id = ContainerId::Parse(victim.container_id);
    if (!id.ok()) continue;
    const auto log = Find(*id, /*create=*/false);
    if (!log.ok()) continue;
    if (victim.last) {
      (*log)->Truncate().IgnoreError();
    } else {
      (*log)->DropSegment(victim.segment);
    }
  }
}

void SegmentStore::StepSealing() {
  if (auto result = sealer_->TakeResult()) {
    if (result->sealed_bytes.ok()) {
      result->log->CommitSealed(result->segment, *result->sealed_bytes);
    } else if (result->log->NextToSeal() == result->segment) {
      // Not again at once: what hinders it, a full disk or damage, will not have gone away.
      Log(LogLevel::kWarning, "a log segment could not be sealed",
          {{"directory", result->log->directory()},
           {"error", std::string(result->sealed_bytes.status().message())}});
      seal_after_s_ = SteadySeconds() + kSealRetrySeconds;
    }
  }
  if (!sealer_->idle() || SteadySeconds() < seal_after_s_) return;
  for (const auto& [id, log] : OpenLogs()) {
    if (const auto segment = log->NextToSeal()) return sealer_->Begin(log, *segment);
  }
  while (!unsealed_.empty()) {
    const auto log = Find(unsealed_.back(), /*create=*/false);
    unsealed_.pop_back();
    if (!log.ok()) continue;
    if (const auto segment = (*log)->NextToSeal()) return sealer_->Begin(*log, *segment);
  }
}

void SegmentStore::AwaitSealed() {
  const auto all = [this] {
    for (const auto& [id, log] : OpenLogs()) {
      if (log->NextToSeal()) return false;
    }
    return true;
  };
  while (!all()) absl::SleepFor(kSealerPoll / 4);
}

void SegmentStore::RemoveDeleted() {
  {
    absl::MutexLock lock(&mu_);
    if (!std::exchange(remove_deleted_, false)) return;
  }
  const auto names = Names(deleting_);
  if (!names.ok()) return;
  for (const std::string& name : *names) RemoveDirectory(absl::StrCat(deleting_, "/", name));
}

void SegmentStore::Maintain() {
  for (const auto& [id, log] : OpenLogs()) {
    const absl::Status synced = log->Sync();
    if (!synced.ok()) {
      ++counters_.sync_errors;
      Log(LogLevel::kError, synced.message(), {{"container", id}});
    }
    log->WakeExpired(absl::GetCurrentTimeNanos());
    // A container that is done with keeps its log in the smaller form.
    const int64_t patience_s = log->Ended() ? kRollEndedAfterSeconds : kRollAfterSeconds;
    if (log->last_use_s() + patience_s < SteadySeconds()) {
      log->Roll(limits_.roll_bytes).IgnoreError();
    }
  }
  KeepLimits();
  RemoveDeleted();
  ForgetIdle();
}

void SegmentStore::Run() {
  absl::Time due = absl::Now();
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || remove_deleted_;
      };
      // The sealer does not ring: a thread of its priority must not hold what others wait for.
      const absl::Time look = sealer_->idle() ? due : absl::Now() + kSealerPoll;
      mu_.AwaitWithTimeout(absl::Condition(&wanted), std::min(look, due) - absl::Now());
      if (stopping_) return;
      if (remove_deleted_) due = absl::InfinitePast();
    }
    StepSealing();
    if (absl::Now() < due) continue;
    Maintain();
    due = absl::Now() + absl::Seconds(1);
  }
}

}  // namespace slipway::log
