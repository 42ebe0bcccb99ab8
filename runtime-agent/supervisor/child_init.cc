#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/init.h"

namespace slipway::agent {

namespace {

// A process group of its own, in the foreground of the terminal where there is one.
void TakeForeground() {
  setpgid(0, 0);
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(0, getpid());
  signal(SIGTTOU, SIG_DFL);
}

// [name, pid, "--", argv...]. Null with errno.
const char** InitArguments(const char* pid, const char** argv) {
  size_t count = 0;
  while (argv[count] != nullptr) ++count;
  void* memory = mmap(nullptr, (count + 4) * sizeof(char*), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto** all = static_cast<const char**>(memory);
  all[0] = kInitName;
  all[1] = pid;
  all[2] = "--";
  for (size_t i = 0; i <= count; ++i) all[3 + i] = argv[i];
  return all;
}

}  // namespace

int ForkProgram(const Child& child, const char** argv, const char** envp) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  // Not clone3, which Docker's seccomp profile denies.
  auto pid = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (pid < 0) return -1;
  if (pid == 0) {
    TakeForeground();
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return 0;
  }
  char text[16];
  snprintf(text, sizeof(text), "%d", pid);
  const char** arguments = InitArguments(text, argv);
  if (arguments != nullptr) {
    syscall(SYS_execveat, child.init_binary, "", arguments, envp, AT_EMPTY_PATH);
  }
  int error = errno;
  kill(pid, SIGKILL);
  errno = error;
  return -1;
}

}  // namespace slipway::agent
