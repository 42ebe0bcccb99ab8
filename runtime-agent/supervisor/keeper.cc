#include "runtime-agent/supervisor/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime-agent/supervisor/exit_status.h"
#include "runtime-agent/supervisor/packet.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

// A supervisor that ends sooner than this after its start is started again only after a pause.
constexpr uint64_t kQuickDeathNs = 200'000'000;
constexpr useconds_t kRestartPauseUs = 200'000;

class Keeper {
 public:
  explicit Keeper(ProcessState* state) : state_(state) {}
  int Run();

 private:
  void StartSupervisor();
  void ReadChannel();
  void Apply(const KeeperMessage& message, PacketFds* fds);
  void Reap();
  static void OnEntryExited(void* context, uint32_t slot);
  static void OnOtherExited(void* context, int pid);

  ProcessState* state_;
  bool supervisor_ended_ = false;
  bool shutting_down_ = false;
  uint64_t started_ns_ = 0;
};

void Keeper::StartSupervisor() {
  if (started_ns_ != 0 && MonotonicNs() - started_ns_ < kQuickDeathNs) usleep(kRestartPauseUs);
  if (state_->peer >= 0) close(state_->peer);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    dprintf(2, "keeper: socketpair: %s\n", strerror(errno));
    usleep(kRestartPauseUs);
    state_->peer = -1;
    return;
  }
  // A keeper that is stopped must not stop the supervisor for good.
  timeval patience = {5, 0};
  setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  started_ns_ = MonotonicNs();
  pid_t pid = fork();
  if (pid == 0) {
    close(pair[0]);
    ProcessState next = *state_;
    next.role = Role::kSupervisor;
    next.peer = pair[1];
    next.supervisor_pid = 0;
    ExecInPlace(next);
    dprintf(2, "keeper: exec of the supervisor: %s\n", strerror(errno));
    _exit(70);
  }
  close(pair[1]);
  state_->peer = pair[0];
  state_->supervisor_pid = pid > 0 ? pid : 0;
  if (pid < 0) dprintf(2, "keeper: fork: %s\n", strerror(errno));
  if (state_->ready >= 0) close(state_->ready);
  state_->ready = -1;
}

void Keeper::Apply(const KeeperMessage& message, PacketFds* fds) {
  switch (message.op) {
    case KeeperOp::kHold:
      for (uint32_t i = 0; i < message.count && static_cast<int>(i) < fds->count; ++i) {
        if (message.handle[i] >= kHandleCount) continue;
        state_->table->Put(message.handle[i], fds->fd[i]);
        fds->fd[i] = -1;
      }
      break;
    case KeeperOp::kDrop:
      for (uint32_t i = 0; i < message.count; ++i) {
        if (message.handle[i] < kHandleCount) state_->table->Close(message.handle[i]);
      }
      break;
    case KeeperOp::kUpgrade:
      ExecInPlace(*state_);
      dprintf(2, "keeper: upgrade: %s\n", strerror(errno));
      break;
    case KeeperOp::kShutdown:
      shutting_down_ = true;
      break;
    case KeeperOp::kChildExited:
      break;
  }
  fds->CloseAll();
}

void Keeper::ReadChannel() {
  KeeperMessage message;
  PacketFds fds;
  for (;;) {
    ssize_t size = ReceivePacket(state_->peer, &message, sizeof(message), &fds, MSG_DONTWAIT);
    if (size != sizeof(message) || message.count > kMaxKeeperHandles) {
      fds.CloseAll();
      if (size <= 0) return;
      continue;
    }
    Apply(message, &fds);
  }
}

void Keeper::OnEntryExited(void* context, uint32_t slot) {
  auto* self = static_cast<Keeper*>(context);
  KeeperMessage message = {KeeperOp::kChildExited, 1, {slot}};
  // A supervisor that is just being replaced finds the same in the status page.
  SendPacket(self->state_->peer, &message, sizeof(message), nullptr, 0, MSG_DONTWAIT);
}

void Keeper::OnOtherExited(void* context, int pid) {
  auto* self = static_cast<Keeper*>(context);
  if (pid == self->state_->supervisor_pid) self->supervisor_ended_ = true;
}

void Keeper::Reap() {
  ReapChildren(state_->page, *state_->table, this, &Keeper::OnEntryExited, &Keeper::OnOtherExited);
}

int Keeper::Run() {
  prctl(PR_SET_NAME, "slipway-keeper");
  state_->page->keeper_pid = getpid();
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return 71;
  if (state_->supervisor_pid == 0) StartSupervisor();
  Reap();  // what ended before the signalfd was there
  for (;;) {
    if (supervisor_ended_) {
      ReadChannel();  // what the dead one had still sent
      if (shutting_down_) return 0;
      dprintf(2, "keeper: supervisor %d ended; starting another\n", state_->supervisor_pid);
      supervisor_ended_ = false;
      state_->supervisor_pid = 0;
    }
    if (state_->supervisor_pid == 0) {
      StartSupervisor();
      if (state_->supervisor_pid == 0) continue;
    }
    pollfd polled[2] = {{signals, POLLIN, 0}, {state_->peer, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return 72;
    if (polled[1].revents != 0) ReadChannel();
    // The channel of a dead supervisor stays readable until it is reaped: wait for the signal.
    if ((polled[1].revents & POLLHUP) != 0) {
      pollfd only = {signals, POLLIN, 0};
      poll(&only, 1, -1);
      polled[0].revents = POLLIN;
    }
    if (polled[0].revents != 0) {
      signalfd_siginfo ignored;
      while (read(signals, &ignored, sizeof(ignored)) > 0) {
      }
      Reap();
    }
  }
}

}  // namespace

int RunKeeper(ProcessState* state) { return Keeper(state).Run(); }

}  // namespace slipway::agent
