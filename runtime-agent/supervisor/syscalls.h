#ifndef RUNTIME_AGENT_SUPERVISOR_SYSCALLS_H_
#define RUNTIME_AGENT_SUPERVISOR_SYSCALLS_H_

#include <errno.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// System calls that glibc has no wrapper for, each once. They set errno like any other.
namespace slipway::agent {

inline pid_t Clone3(clone_args* args) {
  return static_cast<pid_t>(syscall(SYS_clone3, args, sizeof(*args)));
}

inline int OpenAt2(int dir, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
  return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}

inline int PivotRoot(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}

inline uint64_t RealtimeNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t BoottimeNs() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_SYSCALLS_H_
