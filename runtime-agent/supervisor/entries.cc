#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "runtime-agent/supervisor/exit_status.h"
#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

bool Supervisor::WatchRole(uint32_t slot, FdRole role) {
  if ((runtime_[slot].watched & RoleBit(role)) != 0) return true;
  int fd = FdOf(slot, role);
  // A pidfd hangs up when its process was reaped; that needs no event bit.
  uint32_t events = EPOLLIN;
  if (role == FdRole::kPidfd) events = PidfdHangsUp() ? 0 : EPOLLIN | EPOLLET;
  if (fd < 0 || !Watch(fd, events, MakeTag(EventTag::kEntry, EntryHandle(slot, role)))) {
    return false;
  }
  runtime_[slot].watched |= RoleBit(role);
  return true;
}

void Supervisor::UnwatchRole(uint32_t slot, FdRole role) {
  if ((runtime_[slot].watched & RoleBit(role)) == 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, FdOf(slot, role), nullptr);
  runtime_[slot].watched &= static_cast<uint8_t>(~RoleBit(role));
}

bool Supervisor::Hold(uint32_t slot, uint32_t role_mask) {
  KeeperMessage message = {KeeperOp::kHold, 0, {}};
  int fds[kFdRoles];
  for (uint32_t role = 0; role < kFdRoles; ++role) {
    int fd = FdOf(slot, static_cast<FdRole>(role));
    if ((role_mask >> role & 1) == 0 || fd < 0) continue;
    fds[message.count] = fd;
    message.handle[message.count++] = EntryHandle(slot, static_cast<FdRole>(role));
  }
  if (message.count == 0) return true;
  return TellKeeper(message, fds, static_cast<int>(message.count));
}

void Supervisor::Drop(uint32_t slot, uint32_t role_mask) {
  KeeperMessage message = {KeeperOp::kDrop, 0, {}};
  for (uint32_t i = 0; i < kFdRoles; ++i) {
    auto role = static_cast<FdRole>(i);
    if ((role_mask >> i & 1) == 0 || FdOf(slot, role) < 0) continue;
    // The keeper's duplicate keeps the open file alive: closing would not end the watch.
    UnwatchRole(slot, role);
    table_->Close(EntryHandle(slot, role));
    message.handle[message.count++] = EntryHandle(slot, role);
  }
  if (message.count > 0) TellKeeper(message, nullptr, 0);
}

void Supervisor::Free(uint32_t slot) {
  SetState(slot, EntryState::kFree);
  Drop(slot, ~0u);
  free(runtime_[slot].failure);
  runtime_[slot] = Runtime();
}

void Supervisor::SendGo(uint32_t slot) {
  char go = 'G';
  SendPacket(FdOf(slot, FdRole::kSync), &go, 1, nullptr, 0, MSG_DONTWAIT);
}

void Supervisor::ReadSync(uint32_t slot) {
  while (FdOf(slot, FdRole::kSync) >= 0) {
    SyncMessage message;
    PacketFds fds;
    ssize_t size =
        ReceivePacket(FdOf(slot, FdRole::kSync), &message, sizeof(message), &fds, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) return OnSyncEnd(slot);
    if (size == sizeof(message)) OnSyncMessage(slot, message, &fds);
    fds.CloseAll();
  }
}

void Supervisor::OnSyncMessage(uint32_t slot, const SyncMessage& message, PacketFds* fds) {
  StatusSlot& entry = page_->slot[slot];
  switch (message.kind) {
    case SyncKind::kFailure:
      return Fail(slot, message.report);
    case SyncKind::kProcess:
      if (fds->count != 1 || entry.pid != 0) return;
      entry.clone_boottime_ns = BoottimeNs();
      entry.pid = static_cast<int32_t>(message.report.step);
      table_->Put(EntryHandle(slot, FdRole::kPidfd), fds->fd[0]);
      fds->fd[0] = -1;
      Hold(slot, RoleBit(FdRole::kPidfd));
      WatchRole(slot, FdRole::kPidfd);
      if ((entry.flags & kEntryHold) == 0) SendGo(slot);
      return;
    case SyncKind::kTerminal:
      if (fds->count != 1 || FdOf(slot, FdRole::kPtyMaster) >= 0) return;
      table_->Put(EntryHandle(slot, FdRole::kPtyMaster), fds->fd[0]);
      fds->fd[0] = -1;
      Hold(slot, RoleBit(FdRole::kPtyMaster));
      if (FdOf(slot, FdRole::kSpool) >= 0) WatchRole(slot, FdRole::kPtyMaster);
      return;
    case SyncKind::kReady:
      if ((entry.flags & kEntryHold) == 0 || StateOf(slot) != EntryState::kStarting) return;
      SetState(slot, EntryState::kCreated);
      return ReplyToWaiter(slot, 0, nullptr);
    case SyncKind::kExec:
      runtime_[slot].exec_announced = true;
      return;
    case SyncKind::kGate:
      return;  // of another parent than this one
  }
}

// The exec closed the other end, or the process died before it.
void Supervisor::OnSyncEnd(uint32_t slot) {
  Runtime& runtime = runtime_[slot];
  Drop(slot, RoleBit(FdRole::kSync));
  if (runtime.failure != nullptr) return FinishFailure(slot);
  // Whether it was let go, not whether somebody still waits: who asked may be gone by now.
  if (StateOf(slot) == EntryState::kCreated && (page_->slot[slot].flags & kEntryReleased) == 0) {
    // Ended while it was held: to the client that is an exit like any other.
    SetState(slot, EntryState::kRunning);
    return;
  }
  if ((!runtime.exec_announced && !runtime.resumed) || page_->slot[slot].pid == 0) {
    SpawnFailureReport report = {static_cast<uint32_t>(PlanStep::kSync), ECHILD,
                                 "the process ended before its exec"};
    Fail(slot, report);
    return FinishFailure(slot);
  }
  page_->slot[slot].start_time_ns = RealtimeNs();
  SetState(slot, EntryState::kRunning);
  ReplyToWaiter(slot, 0, nullptr);
}

void Supervisor::Fail(uint32_t slot, const SpawnFailureReport& report) {
  Runtime& runtime = runtime_[slot];
  SetState(slot, EntryState::kFailed);
  if (runtime.failure == nullptr) {
    runtime.failure = static_cast<SpawnFailureReport*>(malloc(sizeof(report)));
  }
  if (runtime.failure != nullptr) *runtime.failure = report;
}

// The client hears of a failure when the process is gone: its cgroup and mounts can go at once.
void Supervisor::FinishFailure(uint32_t slot) {
  StatusSlot& entry = page_->slot[slot];
  bool reaped = entry.pid == 0 || (entry.flags & kEntryExitCollected) != 0;
  if (!reaped || entry.helper_pid != 0 || FdOf(slot, FdRole::kSync) >= 0) return;
  SpawnFailureReport unknown = {static_cast<uint32_t>(PlanStep::kSync), ENOMEM, ""};
  SpawnFailureReport* failure = runtime_[slot].failure;
  ReplyToWaiter(slot, failure != nullptr && failure->error != 0 ? failure->error : ECHILD,
                failure != nullptr ? failure : &unknown);
  Free(slot);
}

void Supervisor::OnExitCollected(uint32_t slot) {
  StatusSlot& entry = page_->slot[slot];
  if (StateOf(slot) == EntryState::kStarting || StateOf(slot) == EntryState::kCreated) {
    ReadSync(slot);  // whatever it said before it ended
  }
  if (StateOf(slot) == EntryState::kFailed) return FinishFailure(slot);
  if (StateOf(slot) != EntryState::kRunning || (entry.flags & kEntryOrphaned) != 0) return;
  if ((entry.flags.load(std::memory_order_acquire) & kEntryExitCollected) == 0) return;
  UnwatchRole(slot, FdRole::kPidfd);
  DrainAtExit(slot);
  entry.flags.fetch_and(~static_cast<uint32_t>(kEntryStdinOpen));
  Drop(slot, RoleBit(FdRole::kStdin));
  SetState(slot, EntryState::kExited);
  ResumeStreams(slot);  // descendants may go on writing
  progressed_ = true;
  PublishExit(slot);
}

void Supervisor::RestoreEntry(uint32_t slot) {
  StatusSlot& entry = page_->slot[slot];
  if ((entry.flags & kEntryOrphaned) != 0) return FindOrphan(slot);
  EntryState state = StateOf(slot);
  bool known =
      FdOf(slot, FdRole::kPidfd) >= 0 || (FdOf(slot, FdRole::kSync) >= 0 && entry.helper_pid != 0);
  // An end that was told needs no process; what is left of it waits to be forgotten.
  known |= state == EntryState::kExited;
  if (state == EntryState::kFailed || !known) {
    // Nothing came of it: the process saw its socket end, or will now, and leaves.
    if (FdOf(slot, FdRole::kSync) >= 0) shutdown(FdOf(slot, FdRole::kSync), SHUT_RDWR);
    return Free(slot);
  }
  runtime_[slot].resumed = true;
  if (entry.helper_pid != 0 && kill(entry.helper_pid, 0) != 0) entry.helper_pid = 0;
  if (FdOf(slot, FdRole::kSpool) >= 0) {
    RecoverSpool(&entry, FdOf(slot, FdRole::kSpool));
    ResumeStreams(slot);
    progressed_ = true;
  }
  if (state == EntryState::kExited) return;
  WatchRole(slot, FdRole::kPidfd);
  const bool let_go = (entry.flags & kEntryHold) == 0 || (entry.flags & kEntryReleased) != 0;
  if (WatchRole(slot, FdRole::kSync) && let_go && entry.pid != 0) {
    SendGo(slot);
  }
  if (FdOf(slot, FdRole::kSync) < 0 && state != EntryState::kRunning) {
    SetState(slot, EntryState::kRunning);
  }
  if ((entry.flags & kEntryExitCollected) != 0) OnExitCollected(slot);
}

void Supervisor::RestoreAll() {
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    if (StateOf(slot) == EntryState::kFree) {
      Drop(slot, ~0u);
    } else {
      RestoreEntry(slot);
    }
  }
  for (uint32_t i = 0; i < kMaxStoredFds; ++i) {
    bool named = page_->stored[i].name[0] != '\0';
    if (!named) table_->Close(kStoreHandles + i);
    if (named && table_->Get(kStoreHandles + i) < 0) page_->stored[i].name[0] = '\0';
  }
}

}  // namespace slipway::agent
