#include "runtime-agent/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime-agent/supervisor/exit_status.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr int kRetryMs = 100;
constexpr int kRestMs = 1;

}  // namespace

bool Supervisor::Watch(int fd, uint32_t events, uint64_t tag) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = tag;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Supervisor::OnEntryExited(void* context, uint32_t slot) {
  static_cast<Supervisor*>(context)->OnExitCollected(slot);
}

void Supervisor::OnOtherExited(void*, int) {}

void Supervisor::ReadSignals() {
  signalfd_siginfo ignored;
  while (read(signals_, &ignored, sizeof(ignored)) > 0) {
  }
  ReapChildren(page_, *table_, this, &Supervisor::OnEntryExited, &Supervisor::OnOtherExited);
}

bool Supervisor::TellKeeper(const KeeperMessage& message, const int* fds, int fd_count) {
  if (state_->peer < 0) return true;
  if (SendPacket(state_->peer, &message, sizeof(message), fds, fd_count, 0) >= 0) return true;
  // A dead keeper is replaced by this very process, which has everything: not a failure.
  return errno == EPIPE || errno == ECONNRESET;
}

void Supervisor::ReadKeeper() {
  KeeperMessage message;
  PacketFds fds;
  for (;;) {
    ssize_t size = ReceivePacket(state_->peer, &message, sizeof(message), &fds, MSG_DONTWAIT);
    fds.CloseAll();
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) {
      keeper_died_ = true;
      return;
    }
    if (size == sizeof(message) && message.op == KeeperOp::kChildExited &&
        message.handle[0] < kMaxEntries && StateOf(message.handle[0]) != EntryState::kFree) {
      OnExitCollected(message.handle[0]);
    }
  }
}

// The containers' parent never changes: this process goes on as their keeper.
void Supervisor::BecomeKeeper() {
  dprintf(2, "supervisor: keeper ended; taking its place\n");
  close(state_->peer);
  state_->peer = -1;
  ProcessState next = *state_;
  next.role = Role::kKeeper;
  next.supervisor_pid = 0;
  ExecInPlace(next);
  dprintf(2, "supervisor: exec as keeper: %s\n", strerror(errno));
  epoll_ctl(epoll_, EPOLL_CTL_DEL, next.peer, nullptr);
  keeper_died_ = false;  // goes on without one
}

void Supervisor::SignalSubscribers() {
  uint64_t one = 1;
  for (Connection& connection : connections_) {
    if (!connection.used || !connection.subscribed) continue;
    if (write(connection.event, &one, sizeof(one)) < 0 && errno != EAGAIN) continue;
  }
  progressed_ = false;
}

void Supervisor::Retry() {
  next_retry_ns_ = MonotonicNs() + uint64_t{kRetryMs} * 1000000;
  retry_ = false;
  if (listen_paused_) {
    listen_paused_ = !Watch(table_->Get(kListenHandle), EPOLLIN, MakeTag(EventTag::kListen, 0));
    retry_ = listen_paused_;
  }
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    if (!runtime_[slot].retry) continue;
    runtime_[slot].retry = false;
    ResumeStreams(slot);
    if (runtime_[slot].retry) retry_ = true;
  }
}

void Supervisor::Dispatch(uint64_t tag, uint32_t events) {
  auto value = static_cast<uint32_t>(tag);
  switch (static_cast<EventTag>(tag >> 32)) {
    case EventTag::kListen:
      return Accept();
    case EventTag::kSignals:
      return ReadSignals();
    case EventTag::kKeeper:
      return ReadKeeper();
    case EventTag::kConnection:
      return ReadConnection(value);
    case EventTag::kEntry:
      break;
  }
  uint32_t slot = value / kFdRoles;
  auto role = static_cast<FdRole>(value % kFdRoles);
  // An earlier event of the same turn may have closed it.
  if ((runtime_[slot].watched & RoleBit(role)) == 0) return;
  if (role == FdRole::kSync) return ReadSync(slot);
  if (role == FdRole::kStdout || role == FdRole::kStderr) return PumpStream(slot, role);
  if (role == FdRole::kPtyMaster) return PumpTerminal(slot);
  if (role == FdRole::kPidfd && (events & EPOLLHUP) != 0) {
    UnwatchRole(slot, role);
    CollectFromPidfd(&page_->slot[slot], FdOf(slot, role));
    OnExitCollected(slot);
  } else if (role == FdRole::kPidfd && CollectFromProc(&page_->slot[slot], page_->keeper_pid)) {
    UnwatchRole(slot, role);
    OnExitCollected(slot);
  }
}

int Supervisor::Run(ProcessState* state) {
  state_ = state;
  page_ = state->page;
  table_ = state->table;
  prctl(PR_SET_NAME, "slipway-supervi");
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  signals_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  null_ = open("/dev/null", O_RDWR | O_CLOEXEC);
  proc_ = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (epoll_ < 0 || signals_ < 0 || null_ < 0 || proc_ < 0) return 71;
  char staging[300];
  snprintf(staging, sizeof(staging), "%s/stage", state_->run_dir);
  if (blank_.Create(staging) != 0) {
    dprintf(2, "supervisor: make a blank mount namespace: %s\n", strerror(errno));
    return 74;
  }
  page_->supervisor_pid = getpid();
  page_->supervisor_starts.fetch_add(1);
  bool ok = Watch(table_->Get(kListenHandle), EPOLLIN, MakeTag(EventTag::kListen, 0)) &&
            Watch(signals_, EPOLLIN, MakeTag(EventTag::kSignals, 0)) &&
            Watch(state_->peer, EPOLLIN, MakeTag(EventTag::kKeeper, 0));
  if (!ok) return 72;
  RestoreAll();
  ReadSignals();
  if (state_->ready >= 0) {
    if (write(state_->ready, "R", 1) == 1) close(state_->ready);
    state_->ready = -1;
  }
  while (!done_) {
    epoll_event events[64];
    int wait_ms = rest_count_ > 0 ? kRestMs : retry_ ? kRetryMs : -1;
    int count = epoll_wait(epoll_, events, 64, wait_ms);
    if (count < 0 && errno != EINTR) return 73;
    for (int i = 0; i < count; ++i) Dispatch(events[i].data.u64, events[i].events);
    if (retry_ && MonotonicNs() >= next_retry_ns_) Retry();
    if (rest_count_ > 0) EndRests();
    if (progressed_) SignalSubscribers();
    if (keeper_died_) BecomeKeeper();
  }
  return 0;
}

}  // namespace slipway::agent
