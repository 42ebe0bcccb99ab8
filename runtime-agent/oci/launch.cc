#include "runtime-agent/oci/launch.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/packet.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {
namespace {

absl::Status FailureOf(const SpawnFailureReport& report) {
  const std::string detail(report.detail, strnlen(report.detail, sizeof(report.detail)));
  const auto step = static_cast<PlanStep>(report.step);
  if (step == PlanStep::kExec) {
    return ErrnoStatus(report.error, absl::StrCat("exec: \"", detail, "\""));
  }
  return ErrnoStatus(report.error, absl::StrCat(PlanStepName(step), " ", detail));
}

class Launcher {
 public:
  Launcher(Plan plan, const LaunchOptions& options) : plan_(std::move(plan)), options_(options) {}

  absl::StatusOr<LaunchedProcess> Run() {
    RETURN_IF_ERROR(Clone());
    absl::Status status = Follow();
    if (status.ok()) return std::move(process_);
    if (process_.pidfd.ok()) syscall(SYS_pidfd_send_signal, process_.pidfd.get(), SIGKILL, 0, 0);
    if (process_.pid > 0) AwaitEnd(process_.pid);
    return status;
  }

 private:
  absl::Status Clone() {
    static Child child;  // 1 KiB of descriptors; zero until here
    if (!child.plan.Parse(plan_.bytes.data(), plan_.bytes.size(),
                          static_cast<uint32_t>(plan_.fds.size()))) {
      return absl::InternalError("the plan is malformed");
    }
    const PlanHeader& header = child.plan.header();
    for (size_t i = 0; i < plan_.fds.size(); ++i) child.fd[i] = plan_.fds[i].get();
    for (int i = 0; i < 3; ++i) {
      if (header.stdio_fd[i] >= 0) child.stdio[i] = child.fd[header.stdio_fd[i]];
    }
    child.staging = options_.staging.c_str();
    // For the process's whole life until its exec.
    child.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    child.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (child.null < 0 || child.proc < 0) return ErrnoStatus(errno, "open /dev/null and /proc");
    child.gate = options_.at_gate != nullptr;
    child.hold = options_.hold;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      return ErrnoStatus(errno, "make a socket pair");
    }
    sync_ = UniqueFd(pair[0]);
    const UniqueFd other(pair[1]);
    child.sync = other.get();
    int pidfd = -1;
    clone_args args = {};
    args.flags = header.clone_flags | CLONE_PIDFD;
    args.exit_signal = SIGCHLD;
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    if (header.cgroup_fd >= 0) {
      args.flags |= CLONE_INTO_CGROUP;
      args.cgroup = static_cast<uint64_t>(child.fd[header.cgroup_fd]);
    }
    const pid_t pid = Clone3(&args);
    if (pid == 0) RunChild(&child);
    if (pid < 0) return ErrnoStatus(errno, "clone");
    if (child.plan.Find(PlanStep::kSecondClone) != nullptr) {
      helper_ = pid;
      close(pidfd);
    } else {
      process_.pid = pid;
      process_.pidfd = UniqueFd(pidfd);
    }
    return absl::OkStatus();
  }

  // Reads what the process says until it is held, has executed, or failed.
  absl::Status Follow() {
    absl::Status failure;
    bool executing = false;
    for (;;) {
      SyncMessage message;
      PacketFds fds;
      const ssize_t size = ReceivePacket(sync_.get(), &message, sizeof(message), &fds, 0);
      if (size != sizeof(message)) {
        if (helper_ > 0) AwaitEnd(helper_);
        if (!failure.ok()) return failure;
        if (executing) return absl::OkStatus();
        return absl::AbortedError("the process ended before its exec");
      }
      UniqueFd fd(fds.count == 1 ? fds.fd[0] : -1);
      switch (message.kind) {
        case SyncKind::kFailure:
          failure = FailureOf(message.report);
          break;
        case SyncKind::kProcess:
          process_.pid = static_cast<pid_t>(message.report.step);
          process_.pidfd = std::move(fd);
          break;
        case SyncKind::kTerminal:
          process_.terminal = std::move(fd);
          break;
        case SyncKind::kGate:
          RETURN_IF_ERROR(options_.at_gate(process_));
          Go();
          break;
        case SyncKind::kReady:
          if (options_.hold >= 0) {
            if (helper_ > 0) AwaitEnd(helper_);
            return absl::OkStatus();
          }
          Go();
          break;
        case SyncKind::kExec:
          executing = true;
          break;
      }
    }
  }

  void Go() {
    const char go = 'G';
    SendPacket(sync_.get(), &go, 1, nullptr, 0, 0);
  }

  Plan plan_;
  const LaunchOptions& options_;
  UniqueFd sync_;
  pid_t helper_ = 0;
  LaunchedProcess process_;
};

}  // namespace

absl::StatusOr<LaunchedProcess> Launch(Plan plan, const LaunchOptions& options) {
  return Launcher(std::move(plan), options).Run();
}

absl::Status GoOn(int connection) {
  const char go = 'G';
  if (SendPacket(connection, &go, 1, nullptr, 0, 0) != 1) return ErrnoStatus(errno, "start");
  absl::Status failure;
  bool executing = false;
  for (;;) {
    SyncMessage message;
    PacketFds fds;
    const ssize_t size = ReceivePacket(connection, &message, sizeof(message), &fds, 0);
    fds.CloseAll();
    if (size != sizeof(message)) break;
    if (message.kind == SyncKind::kExec) executing = true;
    if (message.kind == SyncKind::kFailure) failure = FailureOf(message.report);
  }
  if (!failure.ok()) return failure;
  return executing ? absl::OkStatus() : absl::AbortedError("the process ended before its exec");
}

int AwaitEnd(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) return 255;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace slipway::agent
