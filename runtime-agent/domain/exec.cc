#include "runtime-agent/domain/exec.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/capabilities.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/start_error.h"
#include "runtime-agent/streams/exec_streams.h"

namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

constexpr absl::Duration kSpawnTimeout = absl::Seconds(60);

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd NonBlocking(UniqueFd fd) {
  if (fd.ok()) fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return fd;
}

// Those that differ from the host's, own or joined.
uint64_t NamespacesOf(const Definition& definition) {
  uint64_t flags = CLONE_NEWNS;
  if (definition.pid.kind != Kind::kHost) flags |= CLONE_NEWPID;
  if (definition.ipc.kind != Kind::kHost) flags |= CLONE_NEWIPC;
  if (definition.uts.kind != Kind::kHost) flags |= CLONE_NEWUTS;
  if (definition.network.kind != Kind::kHost) flags |= CLONE_NEWNET;
  if (definition.cgroup.kind != Kind::kHost) flags |= CLONE_NEWCGROUP;
  return flags;
}

// Makes the pipes of an exec without a terminal: the process's ends into `bindings`, ours returned.
absl::StatusOr<ExecDescriptors> MakeStreams(const ExecCommand& command, ExecBindings& bindings) {
  ExecDescriptors ours;
  if (command.detach || command.tty) return ours;
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe error, MakePipe());
  bindings.standard_out = std::move(out.write);
  bindings.standard_error = std::move(error.write);
  ours.standard_out = NonBlocking(std::move(out.read));
  ours.standard_error = NonBlocking(std::move(error.read));
  if (command.stdin_open) {
    ASSIGN_OR_RETURN(Pipe in, MakePipe());
    bindings.standard_in = std::move(in.read);
    ours.input = std::make_shared<UniqueFd>(NonBlocking(std::move(in.write)));
  }
  return ours;
}

// The overlay below all mounts of the container, where the descriptor did not get lost with an
// earlier agent; what the process sees as "/" otherwise.
absl::StatusOr<UserDatabase> UsersOf(const RunHandles& handles, int64_t pid) {
  if (handles.root != nullptr) return ReadUserDatabase(handles.root->get());
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(absl::StrCat("/proc/", pid, "/root"), O_PATH | O_DIRECTORY));
  return ReadUserDatabase(root.get());
}

}  // namespace

absl::StatusOr<int64_t> Runtime::StartExec(const ExecCommand& command) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(command.container_id));
  if (const auto again = FindExec(command.exec_id); again != nullptr) return again->record().pid;
  if (command.argv.empty()) return absl::InvalidArgumentError("No exec command specified");
  const Actual actual = container->actual();
  const std::shared_ptr<RunHandles> handles = container->handles();
  if (actual.state != ContainerState::kRunning || handles == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", command.container_id, " is not running"));
  }
  const Definition& definition = container->definition();
  ExecBindings bindings;
  bindings.process = UniqueFd(fcntl(handles->pidfd.get(), F_DUPFD_CLOEXEC, 3));
  if (!bindings.process.ok()) return ErrnoStatus(errno, "duplicate a pidfd");
  bindings.namespaces = NamespacesOf(definition);
  ASSIGN_OR_RETURN(const UserDatabase users, UsersOf(*handles, actual.pid));
  ASSIGN_OR_RETURN(bindings.user, LookUpUser(users, command.user, definition.additional_groups));
  ASSIGN_OR_RETURN(bindings.user_namespace, UserNamespaceOf(definition));
  bindings.capabilities = command.privileged ? facts_.capabilities : definition.capabilities;
  ASSIGN_OR_RETURN(bindings.seccomp,
                   parts_.seccomp->Compile(definition.seccomp_profile, bindings.capabilities));
  ASSIGN_OR_RETURN(bindings.cgroup, parts_.cgroups->OpenJoin(definition.cgroup_name()));
  ASSIGN_OR_RETURN(ExecDescriptors ours, MakeStreams(command, bindings));
  ASSIGN_OR_RETURN(Plan plan, CompileExecPlan(definition, command, std::move(bindings)));

  ExecRecord record{.exec_id = command.exec_id, .container_id = command.container_id};
  auto exec = std::make_shared<Exec>(record, command.tty, command.transient);
  {
    absl::MutexLock lock(&mutex_);
    execs_[command.exec_id] = exec;
  }
  auto spawned = supervisor_->Spawn(
      {.id = command.exec_id, .kind = EntryKind::kExec, .plan = std::move(plan)}, kSpawnTimeout);
  if (!spawned.ok()) {
    absl::MutexLock lock(&mutex_);
    execs_.erase(command.exec_id);
    return DescribeSpawnError(spawned.status(), command.argv[0]);
  }
  exec->SetPidfd(std::make_shared<UniqueFd>(std::move(spawned->fds.pidfd)));
  if (command.tty) {
    ours.input = std::make_shared<UniqueFd>(NonBlocking(std::move(spawned->fds.pty_master)));
    ours.terminal = true;
    exec->SetTerminal(ours.input);
  }
  auto streams = ExecStreams::Create(parts_.loop, std::move(ours), command.detach);
  exec->SetStreams(streams);
  const ExecRecord now = exec->UpdateRecord([&](ExecRecord& r) { r.pid = spawned->entry.pid; });
  if (!command.transient) {
    const absl::Status saved = parts_.store->Save({.exec = &now});
    if (!saved.ok()) Log(LogLevel::kError, saved.message(), {{"exec", command.exec_id}});
  }
  if (now.finished_ns != 0) streams->Exited(now.exit_code);  // it was quicker
  return now.pid;
}

void Runtime::KillExec(const std::string& exec_id) const {
  const std::shared_ptr<Exec> exec = FindExec(exec_id);
  if (exec == nullptr) return;
  const std::shared_ptr<UniqueFd> pidfd = exec->pidfd();
  if (pidfd != nullptr) syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0);
}

void Runtime::DropExec(const std::string& exec_id) {
  absl::MutexLock lock(&mutex_);
  execs_.erase(exec_id);
}

absl::StatusOr<ExecStatus> Runtime::GetExec(const std::string& exec_id) const {
  const std::shared_ptr<Exec> exec = FindExec(exec_id);
  if (exec == nullptr) return absl::NotFoundError(absl::StrCat("No such exec instance: ", exec_id));
  const ExecRecord record = exec->record();
  ExecStatus status{
      .container_id = record.container_id, .running = record.finished_ns == 0, .pid = record.pid};
  if (!status.running) status.exit_code = record.exit_code;
  return status;
}

}  // namespace slipway::agent
