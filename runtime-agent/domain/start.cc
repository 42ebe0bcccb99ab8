#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/network_files.h"
#include "runtime-agent/domain/run_state.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/start_error.h"
#include "runtime-agent/kernel/mount.h"
#include "runtime-agent/kernel/visit.h"

namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

constexpr absl::Duration kSpawnTimeout = absl::Seconds(60);

absl::StatusOr<UniqueFd> OpenNamespace(int pid, const char* name) {
  return OpenFile(absl::StrCat("/proc/", pid, "/ns/", name), O_RDONLY);
}

// What is to be mounted, detached. A subpath never leads out of its volume, whatever is in there.
absl::StatusOr<UniqueFd> CloneSource(const DefinedMount& mount) {
  if (mount.subpath.empty()) {
    ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, mount.source, mount.recursive));
    return tree.Release();
  }
  ASSIGN_OR_RETURN(const UniqueFd volume,
                   OpenFile(mount.source, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  const auto inside =
      OpenBeneath(volume.get(), mount.subpath, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (!inside.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot access path ", mount.source, "/",
                                                   mount.subpath, ": ", inside.status().message()));
  }
  ASSIGN_OR_RETURN(Mount tree, CloneTree(inside->get(), "", mount.recursive));
  return tree.Release();
}

// A small file beside the container's state, bound into it; rewritten at every start.
absl::StatusOr<UniqueFd> BindText(const std::string& path, absl::string_view text) {
  {
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    RETURN_IF_ERROR(WriteAll(file.get(), text, path));
  }
  ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, path, false));
  return tree.Release();
}

}  // namespace

absl::StatusOr<int> Runtime::RunningPid(const std::string& id, absl::string_view what) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> other, Find(id));
  const Actual actual = other->actual();
  if (actual.state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot join ", what, " of a non running container: ", id));
  }
  return static_cast<int>(actual.pid);
}

absl::Status Runtime::MountRoot(Container& container, RunState& run) {
  run.step = "overlay";
  const Definition& definition = container.definition();
  ASSIGN_OR_RETURN(run.bindings.user_namespace, UserNamespaceOf(definition));
  ASSIGN_OR_RETURN(run.root, OverlayOf(container, /*skip_sync=*/definition.auto_remove));
  ASSIGN_OR_RETURN(run.bindings.root, CopyOverlay(*run.root));
  run.bindings.user = definition.user;
  if (container.actual().runs == 0) return absl::OkStatus();
  // It may have written a passwd file of its own since.
  ASSIGN_OR_RETURN(const UserDatabase users, ReadUserDatabase(run.root->get()));
  ASSIGN_OR_RETURN(run.bindings.user,
                   LookUpUser(users, definition.user_text, definition.additional_groups));
  return absl::OkStatus();
}

absl::Status Runtime::Connect(Container& container, RunState& run) {
  run.step = "network";
  const Definition& definition = container.definition();
  switch (definition.network.kind) {
    case Kind::kHost:
    case Kind::kPrivate:
      return absl::OkStatus();
    case Kind::kContainer: {
      ASSIGN_OR_RETURN(const int pid,
                       RunningPid(definition.network.container_id, "the network namespace"));
      ASSIGN_OR_RETURN(run.bindings.network_namespace, OpenNamespace(pid, "net"));
      return absl::OkStatus();
    }
    // Taken out of "none", it may be in others.
    case Kind::kNone:
    case Kind::kBridge: {
      std::vector<AttachmentSpec> unless_told;
      if (definition.network.kind == Kind::kBridge) {
        unless_told.push_back(
            {.network_id = kDefaultNetworkId, .mac_address = definition.mac_address});
      }
      ASSIGN_OR_RETURN(ConnectedSandbox sandbox,
                       ConnectSandbox(definition, run.attachments.value_or(unless_told)));
      run.bindings.network_namespace = sandbox.network_namespace.Release();
      run.endpoints = std::move(sandbox.leases);
      for (const EndpointLease& lease : run.endpoints) run.connected.push_back(lease.endpoint());
      return TellDns(definition, run.connected, run.bindings.network_namespace.get());
    }
  }
  return absl::OkStatus();
}

absl::Status Runtime::BindNamespaces(Container& container, RunState& run) {
  run.step = "namespaces";
  const Definition& definition = container.definition();
  if (definition.pid.kind == Kind::kContainer) {
    ASSIGN_OR_RETURN(const int pid, RunningPid(definition.pid.container_id, "the PID namespace"));
    ASSIGN_OR_RETURN(run.bindings.pid_namespace, OpenNamespace(pid, "pid"));
  }
  if (definition.uts.kind == Kind::kContainer) {
    ASSIGN_OR_RETURN(const int pid, RunningPid(definition.uts.container_id, "the UTS namespace"));
    ASSIGN_OR_RETURN(run.bindings.uts_namespace, OpenNamespace(pid, "uts"));
  }
  if (definition.ipc.kind == Kind::kContainer) {
    ASSIGN_OR_RETURN(const int pid, RunningPid(definition.ipc.container_id, "the IPC namespace"));
    ASSIGN_OR_RETURN(run.bindings.ipc_namespace, OpenNamespace(pid, "ipc"));
    ASSIGN_OR_RETURN(run.bindings.shared_memory, CloneMountOf(pid, "/dev/shm", false));
  } else if (definition.ipc.kind == Kind::kHost) {
    if (auto tree = CloneTree(AT_FDCWD, "/dev/shm", false); tree.ok()) {
      run.bindings.shared_memory = tree->Release();
    }
    if (auto tree = CloneTree(AT_FDCWD, "/dev/mqueue", false); tree.ok()) {
      run.bindings.message_queues = tree->Release();
    }
  }
  return absl::OkStatus();
}

absl::Status Runtime::BindFiles(Container& container, RunState& run) {
  run.step = "files";
  const Definition& definition = container.definition();
  const std::string directory = Directory(definition.id);
  if (definition.network.kind == Kind::kContainer) {
    // Both see the same network, so both see the same names.
    const std::string other = Directory(definition.network.container_id);
    ASSIGN_OR_RETURN(Mount hosts, CloneTree(AT_FDCWD, absl::StrCat(other, "/hosts"), false));
    ASSIGN_OR_RETURN(Mount resolv, CloneTree(AT_FDCWD, absl::StrCat(other, "/resolv.conf"), false));
    ASSIGN_OR_RETURN(Mount name, CloneTree(AT_FDCWD, absl::StrCat(other, "/hostname"), false));
    run.bindings.hosts_file = hosts.Release();
    run.bindings.resolv_file = resolv.Release();
    run.bindings.hostname_file = name.Release();
    return absl::OkStatus();
  }
  const bool host_network = definition.network.kind == Kind::kHost;
  std::string host_hosts;
  if (host_network) {
    if (auto text = ReadFile("/etc/hosts", 1 << 20); text.ok()) host_hosts = *std::move(text);
  }
  std::vector<std::string> extra_hosts = definition.extra_hosts;
  extra_hosts.insert(extra_hosts.end(), run.extra_hosts.begin(), run.extra_hosts.end());
  const HostsRequest hosts{.addresses = AddressesOf(run.connected),
                           .hostname = definition.hostname,
                           .domainname = definition.domainname,
                           .extra_hosts = std::move(extra_hosts),
                           .gateway = settings_.gateway,
                           .host_text = std::move(host_hosts)};
  ASSIGN_OR_RETURN(run.bindings.hosts_file,
                   BindText(absl::StrCat(directory, "/hosts"), HostsFile(hosts)));
  const auto host_text = ReadFile("/etc/resolv.conf", 64 << 10);
  const std::string resolv =
      ResolvFile(host_text.ok() ? *host_text : "", {.servers = definition.dns_servers,
                                                    .search = definition.dns_search,
                                                    .options = definition.dns_options,
                                                    .host_network = host_network,
                                                    .embedded = dns_->HasSandbox(definition.id)});
  ASSIGN_OR_RETURN(run.bindings.resolv_file,
                   BindText(absl::StrCat(directory, "/resolv.conf"), resolv));
  ASSIGN_OR_RETURN(run.bindings.hostname_file,
                   BindText(absl::StrCat(directory, "/hostname"), definition.hostname + "\n"));
  RETURN_IF_ERROR(MapIds(definition, run.bindings.hosts_file));
  RETURN_IF_ERROR(MapIds(definition, run.bindings.resolv_file));
  RETURN_IF_ERROR(MapIds(definition, run.bindings.hostname_file));
  return absl::OkStatus();
}

absl::Status Runtime::BindMounts(Container& container, RunState& run) {
  run.step = "mounts";
  for (const DefinedMount& mount : container.definition().mounts) {
    BoundTree bound;
    if (const std::string volume = VolumeOf(mount); !volume.empty()) {
      RETURN_IF_ERROR(volumes_->Use(volume, container.id()));
    }
    if (mount.kind != DefinedMount::Kind::kTmpfs) {
      struct stat info;
      if (stat(mount.source.c_str(), &info) != 0) {
        if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("stat ", mount.source));
        if (mount.kind == DefinedMount::Kind::kBind && !mount.create_source) {
          return absl::InvalidArgumentError(absl::StrCat(
              "invalid mount config for type \"bind\": bind source path does not exist: ",
              mount.source));
        }
        RETURN_IF_ERROR(MakeDirectories(mount.source));
        info.st_mode = S_IFDIR;
      }
      ASSIGN_OR_RETURN(bound.tree, CloneSource(mount));
      if (fstat(bound.tree.get(), &info) != 0) return ErrnoStatus(errno, "stat a mount");
      bound.is_file = !S_ISDIR(info.st_mode);
      // As with Docker, files of the host stay whose they are; those of volumes are the
      // container's.
      if (mount.kind == DefinedMount::Kind::kVolume) {
        RETURN_IF_ERROR(MapIds(container.definition(), bound.tree));
      }
    }
    run.bindings.mounts.push_back(std::move(bound));
  }
  return absl::OkStatus();
}

std::string Runtime::VolumeOf(const DefinedMount& mount) const {
  return mount.kind == DefinedMount::Kind::kVolume ? volumes_->NameOf(mount.source) : "";
}

void Runtime::ReleaseVolumes(const Definition& definition) {
  for (const DefinedMount& mount : definition.mounts) {
    const std::string volume = VolumeOf(mount);
    if (!volume.empty()) volumes_->Release(volume, definition.id);
  }
}

absl::Status Runtime::OpenSpool(Container& container, RunState& run) {
  run.step = "spool";
  // Not the readers' descriptor: the supervisor moves the offset of its own.
  ASSIGN_OR_RETURN(run.bindings.spool, OpenFile(SpoolPath(container.id()), O_RDWR | O_NOFOLLOW));
  const Actual actual = container.actual();
  if (!actual.run_ends.empty()) run.bindings.spool_offset = actual.run_ends.back();
  return absl::OkStatus();
}

absl::Status Runtime::Execute(Container& container, RunState& run) {
  RETURN_IF_ERROR(MountRoot(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  RETURN_IF_ERROR(Connect(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  RETURN_IF_ERROR(BindNamespaces(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  RETURN_IF_ERROR(BindFiles(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  RETURN_IF_ERROR(BindMounts(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  RETURN_IF_ERROR(OpenSpool(container, run));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  run.step = "seccomp";
  const Definition& definition = container.definition();
  ASSIGN_OR_RETURN(run.bindings.seccomp,
                   parts_.seccomp->Compile(definition.seccomp_profile, definition.capabilities));
  RETURN_IF_ERROR(InjectedFailure(run.step));
  run.step = "cgroup";
  ASSIGN_OR_RETURN(run.cgroup,
                   parts_.cgroups->CreateGroup(definition.cgroup_name(), container.limits()));
  for (const UniqueFd& fd : run.cgroup.join().self_join_fds) {
    run.bindings.cgroup.self_join_fds.emplace_back(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  }
  if (run.cgroup.join().clone_into_fd.ok()) {
    run.bindings.cgroup.clone_into_fd =
        UniqueFd(fcntl(run.cgroup.join().clone_into_fd.get(), F_DUPFD_CLOEXEC, 3));
  }
  run.bindings.hierarchies = hierarchies_;
  if (definition.cgroup.kind == Kind::kHost) BindOwnGroups(definition, run);
  RETURN_IF_ERROR(InjectedFailure(run.step));
  run.step = "plan";
  return InjectedFailure(run.step);
}

void Runtime::BindOwnGroups(const Definition& definition, RunState& run) {
  std::string group = definition.cgroup_name();
  if (group[0] != '/') group = absl::StrCat("/", settings_.cgroup_parent, "/", group);
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    if (hierarchy.directory.empty()) return;  // v2
    const std::string path = absl::StrCat("/sys/fs/cgroup/", hierarchy.directory, group);
    // Not in each hierarchy there is a group of its own.
    if (auto tree = CloneTree(AT_FDCWD, path, false); tree.ok()) {
      run.bindings.cgroup_trees.emplace_back(hierarchy.directory, tree->Release());
    }
  }
}

void Runtime::BindStreams(const Container& container, EntryFds fds, RunHandles& handles) {
  handles.SetSpares(std::move(fds.stdout_read), std::move(fds.stderr_read),
                    std::move(fds.pty_pipe_write));
  const bool tty = container.definition().tty;
  UniqueFd& input = tty ? fds.pty_master : fds.stdin_write;
  if (!input.ok()) return;
  fcntl(input.get(), F_SETFL, fcntl(input.get(), F_GETFL) | O_NONBLOCK);
  auto shared = std::make_shared<UniqueFd>(std::move(input));
  if (tty) handles.SetTerminal(shared);
  if (container.definition().open_stdin) handles.SetInput(std::move(shared));
}

absl::StatusOr<StartOutcome> Runtime::Finish(Container& container, RunState& run,
                                             SpawnResult spawned) {
  const EntryInfo& entry = spawned.entry;
  auto handles = std::make_shared<RunHandles>();
  handles->pidfd = std::move(spawned.fds.pidfd);
  handles->root = std::move(run.root);
  if (!run.mount_namespace.ok()) {
    auto mounts = MountNamespaceOf(handles->pidfd.get());
    if (mounts.ok()) run.mount_namespace = *std::move(mounts);
  }
  handles->SetMountNamespace(std::move(run.mount_namespace));
  BindStreams(container, std::move(spawned.fds), *handles);
  container.SetHandles(handles);
  std::shared_ptr<Output> output = container.output();
  const bool fresh = container.actual().runs == 0;
  output->BeginRun(entry.slot, entry.incarnation);
  RETURN_IF_ERROR(container.Apply(ContainerEvent::kStarted));
  container.Update([&](Actual& now) {
    now.pid = entry.pid;
    now.started_ns = static_cast<int64_t>(entry.start_time_ns);
    now.incarnation = entry.incarnation;
    ++now.runs;
    now.exit_code = 0;
    now.finished_ns = 0;
    now.oom_killed = false;
    now.paused = false;
  });
  run.cgroup.Release();
  for (EndpointLease& lease : run.endpoints) lease.Release();
  const absl::Status saved = SaveWithEvent(container, HostEvent::Kind::kStarted);
  if (!saved.ok()) Log(LogLevel::kError, saved.message(), {{"container", container.id()}});
  shipper_->Follow(output, LoggedOf(container.definition()), fresh);
  parts_.observer->Started(absl::ToDoubleSeconds(absl::Now() - run.began), !run.connected.empty());
  OnProgress();
  if (auto self = Find(container.id()); self.ok()) {
    executor_->Post([this, self = *std::move(self)] { WatchOom(self); });
  }
  return StartOutcome{.report = container.Report()};
}

absl::StatusOr<SpawnResult> Runtime::Spawn(Container& container, RunState& run, bool hold) {
  SpawnRequest request{.id = container.id(), .hold = hold};
  ASSIGN_OR_RETURN(request.plan,
                   CompileContainerPlan(container.definition(), std::move(run.bindings)));
  InjectFailure(request.plan);
  run.step = "spawn";
  absl::StatusOr<SpawnResult> spawned = supervisor_->Spawn(std::move(request), kSpawnTimeout);
  // Without an answer it may run: what was given up must not.
  if (!spawned.ok() && !GetSpawnFailure(spawned.status()).has_value()) {
    parts_.cgroups->Kill(container.definition().cgroup_name()).IgnoreError();
  }
  return spawned;
}

absl::StatusOr<SpawnResult> Runtime::SpawnFresh(Container& container, RunState& run) {
  RETURN_IF_ERROR(Execute(container, run));
  // Recorded before anything of it can outlive this process.
  container.Update([&](Actual& now) { now.endpoints = run.connected; });
  RETURN_IF_ERROR(SaveActual(container));
  return Spawn(container, run, /*hold=*/false);
}

absl::StatusOr<StartOutcome> Runtime::StartInTurn(const std::shared_ptr<Container>& container,
                                                  const StartCommand& command) {
  auto run = std::make_unique<RunState>();
  absl::StatusOr<SpawnResult> spawned = StartReady(*container, command, run);
  if (!spawned.ok() && !GetSpawnFailure(spawned.status()).has_value()) {
    run = std::make_unique<RunState>();
    run->extra_hosts = command.extra_hosts;
    run->bindings.more_env = command.env;
    run->attachments = command.attachments;
    spawned = SpawnFresh(*container, *run);
  }
  if (spawned.ok()) return Finish(*container, *run, *std::move(spawned));
  const absl::Status& status = spawned.status();
  parts_.observer->StartFailed(run->step == absl::string_view("spawn") ? FailedStep(status)
                                                                       : run->step);
  container->Apply(ContainerEvent::kStartFailed).IgnoreError();
  container->Update([](Actual& now) { now.endpoints.clear(); });
  ForgetDns(container->id());
  SaveActual(*container).IgnoreError();
  ReleaseVolumes(container->definition());
  return DescribeSpawnError(status, container->definition().argv[0]);
}

absl::StatusOr<StartOutcome> Runtime::StartContainer(const StartCommand& command) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(command.id));
  const uint64_t runs = container->actual().runs;
  const Container::Turn turn(*container);
  const Actual actual = container->actual();
  // A start that was asked for while another was under way, or before this agent's time (again, by
  // a client that lost its answer), is that one, also when its run is over by now: a short program
  // must not run twice.
  const bool unknown_run = command.last_started_ns.has_value() && actual.runs > 0 &&
                           actual.started_ns != *command.last_started_ns;
  if (actual.state == ContainerState::kRunning || actual.runs != runs || unknown_run) {
    return StartOutcome{.report = container->Report(), .was_running = true};
  }
  RETURN_IF_ERROR(container->Apply(ContainerEvent::kStart));
  container->SetHandles(nullptr);  // the root of an earlier run
  return StartInTurn(container, command);
}

}  // namespace slipway::agent
