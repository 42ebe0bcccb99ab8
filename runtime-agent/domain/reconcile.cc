#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/capabilities.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kSupervisorTimeout = absl::Seconds(10);
constexpr absl::Duration kMaintenancePeriod = absl::Seconds(15);
constexpr absl::Duration kLayersKept = absl::Seconds(30);
constexpr absl::Duration kExecsKept = absl::Minutes(15);
constexpr int kExitLost = 255;  // what Docker says of a run whose end nobody saw

absl::StatusOr<std::string> NewHostId() {
  char bytes[16];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
    return absl::InternalError("no random bytes for a host id");
  }
  return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
}

HostFacts ReadHostFacts(const std::string& root, const UserRemap* remap) {
  HostFacts facts;
  if (remap != nullptr) {
    facts.first_uid = remap->first_uid;
    facts.first_gid = remap->first_gid;
  }
  if (auto own = OwnCapabilities(); own.ok()) facts.capabilities = *own;
  facts.may_raise_limits = (facts.capabilities >> 24 & 1) != 0;  // CAP_SYS_RESOURCE
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  facts.hostname = name;
  if (auto text = ReadFile("/proc/self/oom_score_adj"); text.ok()) {
    (void)absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &facts.own_oom_score_adj);
  }
  facts.volumes_directory = absl::StrCat(root, "/volumes");
  const auto list = [](const char* path) {
    const auto text = ReadFile(path);
    return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : std::string();
  };
  facts.cpus = list("/sys/devices/system/cpu/online");
  facts.memory_nodes = list("/sys/devices/system/node/online");
  return facts;
}

}  // namespace

Runtime::Runtime(Parts parts, Settings settings)
    : parts_(parts),
      settings_(std::move(settings)),
      facts_(ReadHostFacts(settings_.root, settings_.remap)),
      dns_(std::make_unique<DnsProcess>(
          [this](UniqueFd control) { return SpawnDns(std::move(control)); })),
      executor_(std::make_unique<Executor>(6)),
      reaper_(std::make_unique<Executor>(3, Executor::Kind::kBackground)),
      sampler_(std::make_unique<StatsSampler>(
          StatsSampler::Host{.cgroups = parts_.cgroups,
                             .find = [this](const std::string& id) { return SubjectOf(id); },
                             .running = [this] { return RunningContainers(); }})) {}

Runtime::~Runtime() {
  DropAllReady();
  // What is still to be reaped or told meets errors; the next agent finds it.
  if (supervisor_ != nullptr) supervisor_->Stop();
  sampler_.reset();
  reaper_.reset();
  executor_.reset();
  shipper_.reset();
}

std::string Runtime::Directory(const std::string& id) const {
  return absl::StrCat(settings_.root, "/containers/", id);
}

std::string Runtime::SpoolPath(const std::string& id) const {
  return absl::StrCat(settings_.root, "/spool/", id);
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start(Parts parts, Settings settings) {
  std::unique_ptr<Runtime> runtime(new Runtime(parts, std::move(settings)));
  for (const char* name : {"/containers", "/spool", "/stage"}) {
    RETURN_IF_ERROR(MakeDirectories(absl::StrCat(runtime->settings_.root, name), 0711));
  }
  ASSIGN_OR_RETURN(const std::string mountinfo, ReadFile("/proc/self/mountinfo"));
  runtime->hierarchies_ = ParseCgroupHierarchies(mountinfo);
  runtime->ClearStage();
  ASSIGN_OR_RETURN(runtime->skeletons_, Skeletons::Create(runtime->settings_.root + "/stage"));
  ASSIGN_OR_RETURN(runtime->volumes_, Volumes::Open(runtime->facts_.volumes_directory));
  RETURN_IF_ERROR(runtime->LoadRecords());
  RETURN_IF_ERROR(runtime->Connect());
  RETURN_IF_ERROR(runtime->Reconcile());
  runtime->Maintain();
  return runtime;
}

absl::Status Runtime::LoadRecords() {
  ASSIGN_OR_RETURN(StoredState state, parts_.store->Load());
  host_id_ = state.host_id;
  networks_ = std::move(state.networks);
  if (host_id_.empty()) {
    ASSIGN_OR_RETURN(host_id_, NewHostId());
    RETURN_IF_ERROR(parts_.store->SaveHostId(host_id_));
  }
  if (parts_.host_id != nullptr) *parts_.host_id = host_id_;
  events_ = std::make_unique<EventLog>(parts_.store, std::move(state.events));
  shipper_ = std::make_unique<LogShipper>(
      LogShipper::Options{.sink = parts_.log,
                          .observer = parts_.observer,
                          .release = [this](const std::string& id, uint64_t offset) {
                            if (supervisor_ != nullptr) supervisor_->Ack(id, offset).IgnoreError();
                          }});
  absl::MutexLock lock(&mutex_);
  for (StoredContainer& stored : state.containers) {
    const std::string id = stored.definition.id;
    containers_.emplace(
        id, std::make_shared<Container>(std::move(stored.definition), std::move(stored.actual)));
  }
  for (ExecRecord& record : state.execs) {
    const std::string id = record.exec_id;
    execs_.emplace(id, std::make_shared<Exec>(std::move(record), false, false));
  }
  return absl::OkStatus();
}

absl::Status Runtime::OpenOutput(Container& container) {
  const Actual actual = container.actual();
  ASSIGN_OR_RETURN(UniqueFd file,
                   OpenFile(SpoolPath(container.id()), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  container.SetOutput(std::make_shared<Output>(Output::Options{
      .id = container.id(),
      .file = std::move(file),
      .read_slot = [this](uint32_t slot,
                          uint64_t incarnation) { return supervisor_->GetSlot(slot, incarnation); },
      .runs = actual.pid == 0 ? actual.runs : actual.runs - 1,
      .run_ends = actual.run_ends,
      .last_exit_code = actual.exit_code,
      .stored = actual.runs > 0}));
  return absl::OkStatus();
}

absl::Status Runtime::Connect() {
  ASSIGN_OR_RETURN(
      supervisor_,
      SupervisorClient::Connect({
          .socket_path = settings_.supervisor_socket,
          .on_exit = [this](const EntryInfo& entry) { OnExit(entry); },
          .on_progress = [this] { OnProgress(); },
          .on_resync = [this](const std::vector<EntryInfo>& entries) { OnResync(entries); },
          .revive = settings_.revive_supervisor,
      }));
  return absl::OkStatus();
}

// After a reconnection: exits that were told while there was nobody to hear them.
void Runtime::OnResync(const std::vector<EntryInfo>& entries) {
  {
    absl::MutexLock lock(&mutex_);
    if (!reconciled_) return;  // Reconcile asks for the list itself
  }
  executor_->Post([this, entries] { RestoreOrphans(entries); });
  for (const EntryInfo& entry : entries) {
    if (entry.state == EntryState::kExited) OnExit(entry);
  }
  OnProgress();
}

// A process that was started before this agent: its descriptors come from the supervisor.
absl::Status Runtime::AdoptRun(Container& container, const EntryInfo& entry) {
  auto handles = std::make_shared<RunHandles>();
  if (entry.state == EntryState::kRunning) {
    ASSIGN_OR_RETURN(EntryFds fds, supervisor_->GetFds(entry.id, kSupervisorTimeout));
    handles->pidfd = std::move(fds.pidfd);
    BindStreams(container, std::move(fds), *handles);
  }
  for (const DefinedMount& mount : container.definition().mounts) {
    const std::string volume = VolumeOf(mount);
    if (!volume.empty()) volumes_->Adopt(volume, container.id());
  }
  const bool unrecorded = container.actual().incarnation != entry.incarnation;
  container.Update([&](Actual& now) {
    if (unrecorded) ++now.runs;
    if (now.state != ContainerState::kRemoving) now.state = ContainerState::kRunning;
    now.pid = entry.pid;
    now.started_ns = static_cast<int64_t>(entry.start_time_ns);
    now.incarnation = entry.incarnation;
  });
  RETURN_IF_ERROR(OpenOutput(container));
  container.output()->BeginRun(entry.slot, entry.incarnation);
  container.SetHandles(std::move(handles));
  if (!unrecorded) return absl::OkStatus();
  return SaveWithEvent(container, HostEvent::Kind::kStarted);
}

// Execs that were started before this agent: whoever was attached is gone, the exit is not.
void Runtime::AdoptExecs(const std::vector<EntryInfo>& entries) {
  for (const EntryInfo& entry : entries) {
    if (entry.kind != EntryKind::kExec || entry.state != EntryState::kRunning) continue;
    const std::shared_ptr<Exec> exec = FindExec(entry.id);
    if (exec == nullptr) continue;
    auto fds = supervisor_->GetFds(entry.id, kSupervisorTimeout);
    if (!fds.ok()) continue;
    exec->SetPidfd(std::make_shared<UniqueFd>(std::move(fds->pidfd)));
    if (!fds->pty_master.ok()) continue;
    exec->SetTerminal(std::make_shared<UniqueFd>(std::move(fds->pty_master)));
  }
}

// What a killed agent had asked for may be on its way to its exec: it comes to it within moments,
// or is gone. Taken for a run before that, it would have begun at no time, and one that failed
// would never end.
absl::StatusOr<std::vector<EntryInfo>> Runtime::ListSettled() {
  const absl::Time give_up = absl::Now() + kSupervisorTimeout;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<EntryInfo> entries, supervisor_->List(kSupervisorTimeout));
    const bool settled = std::none_of(entries.begin(), entries.end(), [](const EntryInfo& entry) {
      return entry.state == EntryState::kStarting || entry.state == EntryState::kFailed ||
             (entry.state == EntryState::kCreated && (entry.flags & kEntryReleased) != 0);
    });
    if (settled || absl::Now() > give_up) {
      EndHeldRuns(entries);
      return entries;
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
}

absl::Status Runtime::Reconcile() {
  ASSIGN_OR_RETURN(std::vector<EntryInfo> entries, ListSettled());
  if (RestoreOrphans(entries)) {
    ASSIGN_OR_RETURN(entries, ListSettled());
  }
  AdoptExecs(entries);
  std::map<std::string, const EntryInfo*> by_id;
  for (const EntryInfo& entry : entries) by_id[entry.id] = &entry;
  std::vector<std::shared_ptr<Container>> containers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) containers.push_back(container);
  }
  std::vector<Endpoint> live;
  std::vector<const EntryInfo*> exited;
  for (const auto& container : containers) {
    const Actual actual = container->actual();
    const auto found = by_id.find(container->id());
    // An entry whose exit was recorded is only to be forgotten.
    const bool over = found == by_id.end() ||
                      (actual.incarnation == found->second->incarnation && actual.pid == 0);
    if (!over) {
      RETURN_IF_ERROR(AdoptRun(*container, *found->second));
      live.insert(live.end(), actual.endpoints.begin(), actual.endpoints.end());
      if (found->second->state == EntryState::kExited) {
        exited.push_back(found->second);
      } else {
        WatchOom(container);
      }
      continue;
    }
    if (found != by_id.end()) Forget(container->id());
    RETURN_IF_ERROR(OpenOutput(*container));
    if (actual.pid != 0) {
      // The supervisor knows nothing of it: the host was restarted meanwhile.
      container->Apply(ContainerEvent::kExit).IgnoreError();
      container->Update([](Actual& now) {
        now.pid = 0;
        now.exit_code = kExitLost;
        now.finished_ns = absl::GetCurrentTimeNanos();
        now.endpoints.clear();
      });
      RETURN_IF_ERROR(SaveWithEvent(*container, HostEvent::Kind::kExited));
    } else if (actual.state == ContainerState::kStarting) {
      container->Apply(ContainerEvent::kStartFailed).IgnoreError();
      container->Update([](Actual& now) { now.endpoints.clear(); });
    }
  }
  RETURN_IF_ERROR(AdoptNetworks(entries, live));
  ReapLeftovers(entries);
  for (const auto& container : containers) {
    if (container->actual().runs > 0) {
      shipper_->Follow(container->output(), LoggedOf(container->definition()), /*fresh=*/false);
    }
  }
  std::vector<EntryInfo> early;
  {
    absl::MutexLock lock(&mutex_);
    reconciled_ = true;
    early.swap(early_exits_);
  }
  for (const EntryInfo& entry : early) OnExit(entry);
  for (const EntryInfo* entry : exited) OnExit(*entry);
  for (const auto& container : containers) {
    const Actual actual = container->actual();
    if (actual.state != ContainerState::kRemoving) continue;
    reaper_->Post([this, container] { Reap(container, absl::Now()); });
  }
  return absl::OkStatus();
}

// A probe or an archive that an earlier agent had begun: nobody waits for it any more.
void Runtime::KillStray(const EntryInfo& entry) {
  if (entry.state != EntryState::kRunning) return;
  const auto fds = supervisor_->GetFds(entry.id, kSupervisorTimeout);
  if (fds.ok()) syscall(SYS_pidfd_send_signal, fds->pidfd.get(), SIGKILL, nullptr, 0);
}

// From the supervisor's reader thread, and after each change of a run.
void Runtime::OnProgress() {
  if (shipper_ != nullptr) shipper_->Wake();
  {
    absl::MutexLock lock(&mutex_);
    progress_.SignalAll();
    if (progress_posted_ || listeners_.empty()) return;
    progress_posted_ = true;
  }
  parts_.loop->Post([this] {
    std::vector<std::function<void()>> listeners;
    {
      absl::MutexLock lock(&mutex_);
      progress_posted_ = false;
      for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
    }
    for (const auto& listener : listeners) listener();
  });
}

void Runtime::Maintain() {
  const absl::Time now = absl::Now();
  std::vector<RecentLayers> dropped;
  std::vector<std::string> forgotten;
  {
    absl::MutexLock lock(&mutex_);
    for (auto entry = recent_layers_.begin(); entry != recent_layers_.end();) {
      const auto current = entry++;
      if (now - current->second.used < kLayersKept) continue;
      dropped.push_back(std::move(current->second));
      recent_layers_.erase(current);
    }
    for (auto entry = execs_.begin(); entry != execs_.end();) {
      const auto current = entry++;
      const int64_t finished = current->second->record().finished_ns;
      if (finished == 0 || now - absl::FromUnixNanos(finished) < kExecsKept) continue;
      forgotten.push_back(current->first);
      execs_.erase(current);
    }
  }
  for (const std::string& id : forgotten) {
    parts_.store->Save({.remove_exec_id = id}).IgnoreError();
  }
  executor_->After(kMaintenancePeriod, [this] { Maintain(); });
}

absl::StatusOr<std::shared_ptr<Container>> Runtime::Find(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) {
    return absl::NotFoundError(absl::StrCat("No such container: ", id));
  }
  return found->second;
}

std::shared_ptr<Exec> Runtime::FindExec(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = execs_.find(id);
  return found == execs_.end() ? nullptr : found->second;
}

std::pair<std::vector<ContainerReport>, uint64_t> Runtime::List() const {
  // The sequence first: what happens meanwhile is told again by its event.
  const uint64_t sequence = events_->last_sequence();
  std::vector<std::shared_ptr<Container>> containers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, container] : containers_) containers.push_back(container);
  }
  std::vector<ContainerReport> reports;
  for (const auto& container : containers) {
    ContainerReport report = container->Report();
    if (report.actual.state != ContainerState::kRemoving) reports.push_back(std::move(report));
  }
  return {std::move(reports), sequence};
}

absl::Status Runtime::FlushLog(const std::string& id, absl::Time deadline) {
  if (id.empty()) return shipper_->FlushAll(deadline);
  RETURN_IF_ERROR(Find(id).status());
  return shipper_->Flush(id, deadline);
}

uint64_t Runtime::Listen(std::function<void()> listener) {
  absl::MutexLock lock(&mutex_);
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void Runtime::Unlisten(uint64_t listener) {
  absl::MutexLock lock(&mutex_);
  listeners_.erase(listener);
}

}  // namespace slipway::agent
