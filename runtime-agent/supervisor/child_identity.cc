#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr int kLastKnownCapability = 63;

int CapSet(const __user_cap_data_struct* data) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return static_cast<int>(syscall(SYS_capset, &header, data));
}

}  // namespace

int DropBounding(uint64_t remaining) {
  for (int capability = 0; capability <= kLastKnownCapability; ++capability) {
    if ((remaining >> capability & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) return 0;  // past the last one that this kernel knows
      return -1;
    }
  }
  return 0;
}

// As runc: the user must be able to open /dev/stdout and /dev/stderr again.
int OwnStdio(uint32_t uid) {
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) return -1;
    if (S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3)) continue;
    if (info.st_uid == uid) continue;
    // Files that the agent passed may be on a read-only or foreign file system.
    if (fchown(fd, uid, static_cast<gid_t>(-1)) != 0 && errno != EINVAL && errno != EPERM &&
        errno != EROFS) {
      return -1;
    }
  }
  return 0;
}

// Files that are made from here on belong to them; the capabilities stay.
int OwnNewFiles(uint32_t uid, uint32_t gid) {
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0) return -1;
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
  // They only tell by the next call whether they did it.
  if (static_cast<uint32_t>(syscall(SYS_setfsuid, -1)) == uid) return 0;
  errno = EPERM;
  return -1;
}

// The permitted capabilities survive the change of user, so that the seccomp filter can be
// installed as late as possible; kCapabilities then leaves what the plan grants.
int SetUser(Child* child, const PlanStepRecord& step) {
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return -1;
  if (syscall(SYS_setgroups, step.blob_size / 4, child->plan.blob(step)) != 0) return -1;
  auto gid = static_cast<gid_t>(step.b);
  if (syscall(SYS_setresgid, gid, gid, gid) != 0) return -1;
  auto uid = static_cast<uid_t>(step.a);
  if (syscall(SYS_setresuid, uid, uid, uid) != 0) return -1;
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return -1;
  if (uid == 0) return 0;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return -1;
  for (auto& half : data) half.effective = half.permitted;
  return CapSet(data);
}

int SetCapabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  __user_cap_data_struct data[2];
  for (int half = 0; half < 2; ++half) {
    data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
    data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
  }
  return CapSet(data);
}

int RaiseAmbient(uint64_t mask) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return -1;
  for (int capability = 0; capability <= kLastKnownCapability; ++capability) {
    if ((mask >> capability & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) return -1;
  }
  return 0;
}

int InstallSeccomp(Child* child, const PlanStepRecord& step) {
  sock_fprog program = {static_cast<unsigned short>(step.blob_size / sizeof(sock_filter)),
                        reinterpret_cast<sock_filter*>(const_cast<char*>(child->plan.blob(step)))};
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, step.a, &program));
}

}  // namespace slipway::agent
