#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <initializer_list>

#include "runtime-agent/supervisor/exit_status.h"
#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

// Supervisor and keeper were killed at the same instant. The status page is a file and still says
// what there was; the processes go on as children of somebody else. Their descriptors come back
// from the agent, which has a third set (RESTORE). Until they are back an entry is marked as
// orphaned, and its end is not told: output that was written before may still be in its pipes.
namespace slipway::agent {

namespace {

// What /proc says in ticks of 10 ms, with room for the clone itself.
constexpr uint64_t kStartToleranceNs = 2'000'000'000;

// Field 22 of /proc/<pid>/stat in nanoseconds since boot; 0 when there is no such process.
uint64_t StartedAtNs(int pid) {
  char path[40];
  char text[1024];
  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* at = strrchr(text, ')');  // a name may contain anything
  for (int field = 2; at != nullptr && field < 22; ++field) at = strchr(at + 1, ' ');
  if (at == nullptr) return 0;
  return strtoull(at, nullptr, 10) * (1000000000u / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
}

// A pidfd of the process that the slot speaks of, or -1 when it is gone.
int ReopenProcess(const StatusSlot& slot) {
  if (slot.pid <= 0) return -1;
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, slot.pid, 0));
  if (pidfd < 0) return -1;
  // After the open: while the pidfd is there the number belongs to this process.
  uint64_t started = StartedAtNs(slot.pid);
  bool same = started + kStartToleranceNs > slot.clone_boottime_ns &&
              started < slot.clone_boottime_ns + kStartToleranceNs;
  if (same) return pidfd;
  close(pidfd);
  return -1;
}

// Before its exec a process runs the supervisor's own program.
bool HasExecuted(int pid) {
  char path[40];
  char target[64];
  snprintf(path, sizeof(path), "/proc/%d/exe", pid);
  ssize_t length = readlink(path, target, sizeof(target) - 1);
  if (length <= 0) return false;
  target[length] = '\0';
  return strncmp(target, "/memfd:slipway-supervisor", 25) != 0;
}

}  // namespace

void Supervisor::FindOrphan(uint32_t slot) {
  StatusSlot& entry = page_->slot[slot];
  EntryState state = StateOf(slot);
  if (state == EntryState::kExited) return;
  bool collected = (entry.flags & kEntryExitCollected) != 0;
  if (!collected && FdOf(slot, FdRole::kPidfd) < 0) {
    int pidfd = ReopenProcess(entry);
    if (pidfd >= 0) {
      table_->Put(EntryHandle(slot, FdRole::kPidfd), pidfd);
      Hold(slot, RoleBit(FdRole::kPidfd));
    }
  }
  int pidfd = FdOf(slot, FdRole::kPidfd);
  if (state != EntryState::kRunning) {
    // Whoever asked for it asks again (or is dead): a process that has not come to its exec ends.
    bool executed = state != EntryState::kFailed && pidfd >= 0 && HasExecuted(entry.pid);
    if (!executed) {
      if (pidfd >= 0) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
      return Free(slot);
    }
    if (entry.start_time_ns == 0) entry.start_time_ns = RealtimeNs();
    SetState(slot, EntryState::kRunning);
  }
  WatchRole(slot, FdRole::kPidfd);
}

// errno, or 0. Takes what is missing of the descriptors, in ascending order of the mask's bits.
int Supervisor::Restore(uint32_t slot, uint64_t role_mask, PacketFds* fds) {
  StatusSlot& entry = page_->slot[slot];
  if ((role_mask & ~kPublicFdMask) != 0 || __builtin_popcountll(role_mask) != fds->count) {
    return EINVAL;
  }
  if ((entry.flags & kEntryOrphaned) == 0) return 0;
  int next = 0;
  for (uint32_t i = 0; i < kFdRoles; ++i) {
    if ((role_mask >> i & 1) == 0) continue;
    int& fd = fds->fd[next++];
    if (FdOf(slot, static_cast<FdRole>(i)) >= 0) continue;
    table_->Put(EntryHandle(slot, static_cast<FdRole>(i)), fd);
    fd = -1;
  }
  Hold(slot, static_cast<uint32_t>(role_mask));
  entry.flags.fetch_and(~static_cast<uint32_t>(kEntryOrphaned));
  if (FdOf(slot, FdRole::kStdin) < 0)
    entry.flags.fetch_and(~static_cast<uint32_t>(kEntryStdinOpen));
  if (FdOf(slot, FdRole::kSpool) >= 0) {
    RecoverSpool(&entry, FdOf(slot, FdRole::kSpool));
    bool tty = (entry.flags & kEntryTty) != 0;
    for (FdRole role : {FdRole::kStdout, FdRole::kStderr}) {
      if (tty && role == FdRole::kStderr) break;  // there is one stream
      uint32_t ended = role == FdRole::kStdout ? kEntryStdoutEnded : kEntryStderrEnded;
      bool whole = FdOf(slot, role) >= 0 && (!tty || FdOf(slot, FdRole::kPtyMaster) >= 0);
      // Nobody has the pipe: its process closed it, and what was in it went with it.
      if (!whole && (entry.flags & ended) == 0) EndStream(slot, role);
    }
    progressed_ = true;
    ResumeStreams(slot);
  } else {
    entry.flags.fetch_or(kEntryStdoutEnded | kEntryStderrEnded);
  }
  if (StateOf(slot) != EntryState::kRunning) return 0;
  if (FdOf(slot, FdRole::kPidfd) < 0) {
    CollectFromPidfd(&entry, -1);
  } else {
    WatchRole(slot, FdRole::kPidfd);
  }
  OnExitCollected(slot);
  return 0;
}

}  // namespace slipway::agent
