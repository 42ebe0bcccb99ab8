#ifndef RUNTIME_AGENT_DOMAIN_RUNTIME_H_
#define RUNTIME_AGENT_DOMAIN_RUNTIME_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/domain/archiver.h"
#include "runtime-agent/domain/container.h"
#include "runtime-agent/domain/definition_check.h"
#include "runtime-agent/domain/dns_process.h"
#include "runtime-agent/domain/event_log.h"
#include "runtime-agent/domain/exec.h"
#include "runtime-agent/domain/executor.h"
#include "runtime-agent/domain/process_list.h"
#include "runtime-agent/domain/process_plan.h"
#include "runtime-agent/domain/skeleton.h"
#include "runtime-agent/domain/spec.h"
#include "runtime-agent/domain/stats_sampler.h"
#include "runtime-agent/domain/user_database.h"
#include "runtime-agent/domain/volumes.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/kernel/layer_mounts.h"
#include "runtime-agent/kernel/user_namespace.h"
#include "runtime-agent/network/network_driver.h"
#include "runtime-agent/ports/layer_source.h"
#include "runtime-agent/ports/log_sink.h"
#include "runtime-agent/ports/observer.h"
#include "runtime-agent/ports/record_store.h"
#include "runtime-agent/ports/seccomp_compiler.h"
#include "runtime-agent/streams/io_loop.h"
#include "runtime-agent/streams/log_shipper.h"
#include "runtime-agent/supervisor/client.h"

namespace slipway::agent {

struct StartOutcome {
  ContainerReport report;
  bool was_running = false;
};

struct ConnectedSandbox {
  NetworkNamespace network_namespace;
  std::vector<EndpointLease> leases;
};

struct ExecStatus {
  std::string container_id;
  bool running = false;
  std::optional<int32_t> exit_code;
  int64_t pid = 0;
};

// Mount points below `directory` as in the text of /proc/self/mountinfo, the last mounted first.
std::vector<std::string> MountsBelow(absl::string_view mountinfo, absl::string_view directory);

// The containers of this host: one file per verb. Thread-safe; operations on one container take
// turns, operations on different ones do not wait for each other. Every verb may be repeated.
class Runtime {
 public:
  // All outlive the runtime.
  struct Parts {
    RecordStore* store = nullptr;
    LayerSource* layers = nullptr;
    LogSink* log = nullptr;
    SeccompCompiler* seccomp = nullptr;
    Observer* observer = nullptr;
    CgroupDriver* cgroups = nullptr;
    NetworkDriver* network = nullptr;
    LayerMounts* layer_mounts = nullptr;
    IoLoop* loop = nullptr;
    std::string* host_id = nullptr;  // set before anything is shipped
  };
  struct Settings {
    std::string root;
    std::string supervisor_socket;
    std::string bridge_subnet;
    std::string gateway;   // of the bridge
    std::string archiver;  // path of slipway-archive
    std::string dns;       // path of slipway-dns
    std::string cgroup_parent;
    const UserRemap* remap = nullptr;  // outlives the runtime; null: users are not remapped
    std::string layer_directory;       // where the image service keeps layers; for leftovers only
    std::string fail_start_at_file;    // failure_injection.cc; empty but in tests
    size_t ready_runs = 0;             // at most so many at a time (ready.cc)
    // Starts a supervisor where there was one and none is any more. May block.
    std::function<void()> revive_supervisor;
  };

  // Loads the records, connects to the supervisor and makes both agree (reconcile.cc).
  static absl::StatusOr<std::unique_ptr<Runtime>> Start(Parts parts, Settings settings);
  ~Runtime();

  // Warnings for the client. (prepare.cc)
  absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCommand& command);
  absl::StatusOr<StartOutcome> StartContainer(const StartCommand& command);  // start.cc
  // Whether it ran. (signal.cc)
  absl::StatusOr<bool> Signal(const std::string& id, int signal);
  absl::Status Resize(const std::string& id, uint32_t rows, uint32_t columns);
  // pause.cc. Both may be repeated.
  absl::Status Pause(const std::string& id);
  absl::Status Unpause(const std::string& id);
  // Warnings. (update.cc)
  absl::StatusOr<std::vector<std::string>> UpdateLimits(const std::string& id,
                                                        const ResourceSpec& resources);
  absl::StatusOr<int64_t> Measure(const std::string& id) const;  // measure.cc
  absl::Status Remove(const std::string& id);                    // remove.cc

  Volumes& volumes() { return *volumes_; }
  absl::Status RemoveVolume(const std::string& name);  // remove.cc

  // networks.cc. A container that is connected already is given other names.
  absl::Status PutNetwork(const NetworkDefinition& network, bool refuse_overlap);
  absl::Status RemoveNetwork(const std::string& network_id);
  std::vector<std::string> ListNetworks() const { return parts_.network->ListNetworks(); }
  absl::StatusOr<ContainerReport> ConnectNetwork(const std::string& id,
                                                 const AttachmentSpec& attachment);
  absl::StatusOr<ContainerReport> DisconnectNetwork(const std::string& id,
                                                    const std::string& network_id);
  // Those that have names, of all containers.
  std::vector<Endpoint> NamedEndpoints() const;
  // Other addresses for what links have put into a container's /etc/hosts.
  absl::Status UpdateHosts(const std::string& id, const std::vector<std::string>& extra_hosts);

  // files.cc
  absl::StatusOr<std::unique_ptr<Archiver>> OpenArchiver(const std::string& id,
                                                         ArchiveCommand command);
  // Whom copies into a container belong to, as slipway-archive takes it.
  absl::StatusOr<std::string> OwnerForCopies(const std::string& id) const;

  absl::StatusOr<int64_t> StartExec(const ExecCommand& command);  // exec.cc
  absl::StatusOr<ExecStatus> GetExec(const std::string& exec_id) const;
  void KillExec(const std::string& exec_id) const;
  // Of a transient one.
  void DropExec(const std::string& exec_id);

  // The processes of a running container, as ps(1) with these options shows them. (observe.cc)
  absl::StatusOr<ProcessTable> Top(const std::string& id,
                                   const std::vector<std::string>& ps_options) const;
  StatsSampler& sampler() { return *sampler_; }
  // Runs on a thread that may block.
  void Post(std::function<void()> task) { executor_->Post(std::move(task)); }

  // The state as of the event with that number.
  std::pair<std::vector<ContainerReport>, uint64_t> List() const;
  absl::Status FlushLog(const std::string& id, absl::Time deadline);

  EventLog& events() { return *events_; }
  LogShipper& shipper() { return *shipper_; }
  IoLoop& loop() { return *parts_.loop; }
  const std::string& host_id() const { return host_id_; }
  bool remaps_users() const { return settings_.remap != nullptr; }
  const std::string& volumes_directory() const { return facts_.volumes_directory; }
  const std::string& bridge_subnet() const { return settings_.bridge_subnet; }
  const std::string& bridge_gateway() const { return settings_.gateway; }
  std::string cgroup_version() const { return parts_.cgroups->version(); }

  // NotFound names the id.
  absl::StatusOr<std::shared_ptr<Container>> Find(const std::string& id) const;
  std::shared_ptr<Exec> FindExec(const std::string& id) const;
  // Takes the container's stdin away for good. Does not wait.
  void CloseInput(const std::string& id);
  // Called on the loop after output grew or a run ended; `listener` 0 removes nothing.
  uint64_t Listen(std::function<void()> listener);
  void Unlisten(uint64_t listener);

 private:
  struct RunState;  // run_state.h
  struct ReadyRun;  // ready.cc

  Runtime(Parts parts, Settings settings);

  std::string Directory(const std::string& id) const;
  std::string SpoolPath(const std::string& id) const;

  // prepare.cc
  absl::StatusOr<std::vector<LayerHold>> HoldLayers(const std::vector<std::string>& diff_ids);
  absl::StatusOr<UserDatabase> ImageUsers(const std::vector<std::string>& diff_ids,
                                          const std::vector<LayerHold>& layers);
  absl::StatusOr<std::shared_ptr<const UniqueFd>> SkeletonOf(
      const std::vector<std::string>& diff_ids, const std::vector<LayerHold>& layers);
  absl::Status MakeMountSources(const Definition& definition, const std::vector<LayerHold>& layers);
  void RememberLayers(const std::vector<std::string>& diff_ids, std::vector<LayerHold> layers);

  // root.cc
  absl::StatusOr<std::vector<LayerHold>> LayersOf(Container& container);
  absl::StatusOr<std::shared_ptr<const UniqueFd>> OverlayOf(Container& container, bool skip_sync);
  // A detached mount of the same file system, for another mount namespace.
  absl::StatusOr<UniqueFd> CopyOverlay(const UniqueFd& overlay);
  // What the container's own layer lies upon, read-only.
  absl::StatusOr<UniqueFd> MountImage(Container& container);

  // files.cc
  struct HeldForFiles;
  absl::Status BindFilesView(Container& container, ArchiveView view, ArchiverBindings& bindings,
                             HeldForFiles& held);
  absl::Status AddMounts(const Definition& definition, ArchiverBindings& bindings,
                         HeldForFiles& held);
  void LetGoOfOverlayLater(std::shared_ptr<Container> container,
                           std::shared_ptr<const UniqueFd> overlay);

  // networks.cc
  absl::StatusOr<ConnectedSandbox> ConnectSandbox(const Definition& definition,
                                                  const std::vector<AttachmentSpec>& attachments);
  absl::StatusOr<UniqueFd> NetworkNamespaceOf(const Container& container) const;
  absl::Status FollowGateway(const Container& container, int netns_fd,
                             std::vector<Endpoint>& endpoints);
  absl::Status AdoptNetworks(const std::vector<EntryInfo>& entries,
                             const std::vector<Endpoint>& live);
  void SettleNetworks(Container& container);
  void UseEmbeddedDns(const Container& container);
  void AddToHosts(const Container& container, const Endpoint& endpoint);
  void RemoveFromHosts(const Container& container, const Endpoint& endpoint);

  // dns.cc
  static bool IsDnsEntry(const std::string& id);
  absl::Status SpawnDns(UniqueFd control);
  void DnsExited(const std::string& id);
  void RestartDns();
  std::vector<std::string> UpstreamsOf(const Definition& definition,
                                       const std::vector<Endpoint>& endpoints) const;
  absl::Status TellDns(const Definition& definition, const std::vector<Endpoint>& endpoints,
                       int netns_fd);
  void ForgetDns(const std::string& id);
  void AdoptDns(const std::vector<EntryInfo>& entries);

  // start.cc
  // root.cc. Not ok() where the container's users are not remapped.
  absl::StatusOr<UniqueFd> UserNamespaceOf(const Definition& definition) const;
  // `tree` with the ids of the container's users, where they are remapped.
  absl::Status MapIds(const Definition& definition, const UniqueFd& tree) const;
  absl::Status MountRoot(Container& container, RunState& run);
  absl::Status Connect(Container& container, RunState& run);
  absl::Status BindNamespaces(Container& container, RunState& run);
  absl::Status BindFiles(Container& container, RunState& run);
  absl::Status BindMounts(Container& container, RunState& run);
  // Empty where it is none that outlives its container.
  std::string VolumeOf(const DefinedMount& mount) const;
  void ReleaseVolumes(const Definition& definition);
  absl::Status OpenSpool(Container& container, RunState& run);
  void BindOwnGroups(const Definition& definition, RunState& run);
  absl::Status Execute(Container& container, RunState& run);
  absl::StatusOr<SpawnResult> Spawn(Container& container, RunState& run, bool hold);
  absl::StatusOr<SpawnResult> SpawnFresh(Container& container, RunState& run);
  absl::StatusOr<StartOutcome> StartInTurn(const std::shared_ptr<Container>& container,
                                           const StartCommand& command);
  absl::StatusOr<StartOutcome> Finish(Container& container, RunState& run, SpawnResult spawned);
  void BindStreams(const Container& container, EntryFds fds, RunHandles& handles);
  absl::StatusOr<int> RunningPid(const std::string& id, absl::string_view what) const;

  // ready.cc
  void MakeReadySoon(const Container& container);
  void MakeReady(const std::shared_ptr<Container>& container);
  std::shared_ptr<ReadyRun> TakeReady(const std::string& id);
  // In the container's turn.
  void DropReady(const std::string& id);
  void DropAllReady();
  void EndHeld(const EntryInfo& entry, int pidfd);
  void EndHeldRuns(std::vector<EntryInfo>& entries);
  absl::StatusOr<SpawnResult> StartReady(Container& container, const StartCommand& command,
                                         std::unique_ptr<RunState>& run);

  // exit.cc
  absl::Status SaveActual(Container& container);
  absl::Status SaveWithEvent(Container& container, HostEvent::Kind kind);
  void LetGoOfRoot(const std::shared_ptr<Container>& container);
  void OnExit(const EntryInfo& entry);
  void ContainerExited(const EntryInfo& entry);
  void ExecExited(const EntryInfo& entry);
  uint64_t AwaitStreamEnds(Container& container, const EntryInfo& entry);
  void CleanUpRun(const std::shared_ptr<Container>& container);
  void Forget(const std::string& id);

  // remove.cc
  void Reap(const std::shared_ptr<Container>& container, absl::Time since);
  void FinishRemoval(const std::shared_ptr<Container>& container, absl::Time since, bool has_log,
                     absl::Duration backoff);

  // observe.cc
  std::optional<StatsSampler::Subject> SubjectOf(const std::string& id) const;
  std::vector<std::string> RunningContainers() const;
  void WatchOom(const std::shared_ptr<Container>& container);
  void UnwatchOom(const Container& container);
  void AwaitOom(const std::shared_ptr<Container>& container, std::shared_ptr<OomWatch> watch,
                uint64_t known_kills);
  void ReportOom(const std::shared_ptr<Container>& container,
                 const std::shared_ptr<OomWatch>& watch, uint64_t known_kills);

  // reconcile.cc
  void KillStray(const EntryInfo& entry);
  absl::Status LoadRecords();
  absl::Status Connect();
  absl::Status Reconcile();
  absl::Status AdoptRun(Container& container, const EntryInfo& entry);
  absl::StatusOr<std::vector<EntryInfo>> ListSettled();
  void AdoptExecs(const std::vector<EntryInfo>& entries);
  void OnResync(const std::vector<EntryInfo>& entries);
  absl::Status OpenOutput(Container& container);
  void OnProgress();
  void Maintain();

  // failure_injection.cc
  std::string StepToFail() const;
  absl::Status InjectedFailure(const char* step) const;
  void InjectFailure(Plan& plan) const;

  // restore.cc
  EntryFds WhatIsLeftOf(const EntryInfo& entry);
  bool RestoreOrphans(const std::vector<EntryInfo>& entries);

  // leftovers.cc: how many were reaped
  void ReapLeftovers(const std::vector<EntryInfo>& entries);
  int ReapGroups(const std::set<std::string>& live);
  void ClearStage();
  int ReapMounts();
  int ReapFiles(const std::set<std::string>& known);
  int ReapLoopDevices();

  const Parts parts_;
  const Settings settings_;
  std::atomic<int> archivers_{0};
  std::atomic<bool> copies_mounts_{true};
  HostFacts facts_;
  std::vector<CgroupHierarchy> hierarchies_;
  std::string host_id_;
  std::vector<NetworkDefinition> networks_;  // as loaded
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Skeletons> skeletons_;
  std::unique_ptr<Volumes> volumes_;
  std::unique_ptr<LogShipper> shipper_;

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Container>> containers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Exec>> execs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, UserDatabase> users_ ABSL_GUARDED_BY(mutex_);  // by joined diff ids
  struct RecentLayers {
    std::vector<LayerHold> holds;
    absl::Time used;
  };
  std::map<std::string, RecentLayers> recent_layers_ ABSL_GUARDED_BY(mutex_);
  // Null while it is made.
  std::map<std::string, std::shared_ptr<ReadyRun>> ready_ ABSL_GUARDED_BY(mutex_);
  std::string dns_entry_ ABSL_GUARDED_BY(mutex_);  // of the one that runs, at the supervisor
  absl::Time dns_started_ ABSL_GUARDED_BY(mutex_);
  absl::Duration dns_pause_ ABSL_GUARDED_BY(mutex_);
  bool reconciled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<EntryInfo> early_exits_ ABSL_GUARDED_BY(mutex_);
  bool progress_posted_ ABSL_GUARDED_BY(mutex_) = false;
  absl::CondVar progress_;  // under mutex_
  uint64_t next_listener_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<SupervisorClient> supervisor_;
  std::unique_ptr<DnsProcess> dns_;
  // Last: their threads use all of the above.
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Executor> reaper_;
  std::unique_ptr<StatsSampler> sampler_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_RUNTIME_H_
