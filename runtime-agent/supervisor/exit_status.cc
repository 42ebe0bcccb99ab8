#include "runtime-agent/supervisor/exit_status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

// linux/pidfd.h of 6.15; Debian's headers are older.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroupid;
  uint32_t ids[3];
  uint32_t credentials[8];
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr uint64_t kPidfdInfoExit = 1u << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xff, 11, PidfdInfo);

int WaitStatus(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

void StoreExit(StatusSlot* slot, int wait_status, uint32_t more_flags) {
  slot->wait_status = wait_status;
  slot->exit_time_ns = RealtimeNs();
  slot->flags.fetch_or(kEntryExitCollected | more_flags, std::memory_order_release);
}

bool AwaitsExit(const StatusSlot& slot) {
  auto state = static_cast<EntryState>(slot.state.load(std::memory_order_acquire));
  return state != EntryState::kFree && state != EntryState::kExited &&
         (slot.flags.load(std::memory_order_acquire) & kEntryExitCollected) == 0;
}

}  // namespace

void ReapChildren(StatusPage* page, const DescriptorTable& table, void* context,
                  void (*on_entry)(void* context, uint32_t slot),
                  void (*on_other)(void* context, int pid)) {
  siginfo_t info;
  for (;;) {
    info.si_pid = 0;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    int pid = info.si_pid;
    uint32_t used = page->used_entries.load(std::memory_order_acquire);
    uint32_t found = used;
    for (uint32_t i = 0; i < used && found == used; ++i) {
      StatusSlot& slot = page->slot[i];
      // The helper may be seen after the process that it made, when that ended at once.
      bool of_helper =
          slot.helper_pid == pid &&
          static_cast<EntryState>(slot.state.load(std::memory_order_acquire)) != EntryState::kFree;
      bool of_process = slot.pid == pid && AwaitsExit(slot);
      if (!of_helper && !of_process) continue;
      if (of_process) {
        // A pid can be another process by now when a stranger reaped ours: the pidfd cannot.
        int pidfd = table.Get(EntryHandle(i, FdRole::kPidfd));
        siginfo_t mine;
        mine.si_pid = 0;
        if (pidfd >= 0 &&
            (waitid(P_PIDFD, static_cast<id_t>(pidfd), &mine, WEXITED | WNOHANG | WNOWAIT) != 0 ||
             mine.si_pid != pid)) {
          continue;
        }
        StoreExit(&slot, WaitStatus(info), 0);
      } else {
        slot.helper_pid = 0;
      }
      found = i;
    }
    waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    if (found < used) {
      on_entry(context, found);
    } else {
      on_other(context, pid);
    }
  }
}

bool PidfdHangsUp() {
  static int known = -1;
  utsname host;
  if (known < 0) {
    char* rest = nullptr;
    long major = uname(&host) == 0 ? strtol(host.release, &rest, 10) : 0;
    long minor = rest != nullptr && *rest == '.' ? strtol(rest + 1, nullptr, 10) : 0;
    known = major > 6 || (major == 6 && minor >= 9) ? 1 : 0;
  }
  return known == 1;
}

bool CollectFromProc(StatusSlot* slot, int keeper_pid) {
  if (!AwaitsExit(*slot)) return true;
  char path[40];
  char text[1024];
  snprintf(path, sizeof(path), "/proc/%d/stat", slot->pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
  if (fd >= 0) close(fd);
  text[size > 0 ? size : 0] = '\0';
  const char* at = strrchr(text, ')');  // a name may contain anything
  if (at != nullptr && at[2] == 'Z') {
    int parent = static_cast<int>(strtol(at + 4, nullptr, 10));
    if (parent == getpid() || parent == keeper_pid) return false;
    for (int field = 2; at != nullptr && field < 52; ++field) at = strchr(at + 1, ' ');
    if (at != nullptr) {
      StoreExit(slot, static_cast<int>(strtol(at, nullptr, 10)), 0);
      return true;
    }
  }
  // Being reaped at this moment, or gone.
  StoreExit(slot, 255 << 8, kEntryStatusLost);
  return true;
}

void CollectFromPidfd(StatusSlot* slot, int pidfd) {
  if (!AwaitsExit(*slot)) return;
  PidfdInfo info = {};
  info.mask = kPidfdInfoExit;
  if (ioctl(pidfd, kPidfdGetInfo, &info) == 0 && (info.mask & kPidfdInfoExit) != 0) {
    StoreExit(slot, info.exit_code, 0);
  } else {
    StoreExit(slot, 255 << 8, kEntryStatusLost);
  }
}

}  // namespace slipway::agent
