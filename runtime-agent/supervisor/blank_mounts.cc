#include "runtime-agent/supervisor/blank_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr unsigned long kTmpfsFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

// In a namespace of its own: everything but an empty root goes.
int Empty(const char* staging) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return -1;
  if (mount("blank", staging, "tmpfs", kTmpfsFlags, "size=4k,nr_inodes=2,mode=555") != 0) return -1;
  if (chdir(staging) != 0 || PivotRoot(".", ".") != 0) return -1;
  return umount2(".", MNT_DETACH);
}

}  // namespace

int BlankMounts::Create(const char* staging) {
  own_ = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (own_ < 0 || unshare(CLONE_NEWNS) != 0) return -1;
  blank_ = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  const int emptied = blank_ < 0 ? -1 : Empty(staging);
  return Leave() == 0 ? emptied : -1;
}

int BlankMounts::Enter() const { return setns(blank_, CLONE_NEWNS); }

int BlankMounts::Leave() const { return setns(own_, CLONE_NEWNS); }

}  // namespace slipway::agent
