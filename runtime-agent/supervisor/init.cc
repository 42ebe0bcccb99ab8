#include "runtime-agent/supervisor/init.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <initializer_list>

namespace slipway::agent {

namespace {

// -1 while the program runs, else its exit code.
int Reap(pid_t program) {
  int code = -1;
  for (;;) {
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return code;
    if (pid != program) continue;
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

}  // namespace

int RunInit(int argc, char** argv) {
  if (argc < 2) return 2;
  auto program = static_cast<pid_t>(atoi(argv[1]));
  prctl(PR_SET_NAME, kInitName, 0, 0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // for --pid host and container:
  sigset_t signals;
  sigfillset(&signals);
  // Its own faults, and what the terminal tells a process in the background.
  for (int own : {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU}) {
    sigdelset(&signals, own);
  }
  for (int ignored : {SIGTTIN, SIGTTOU}) signal(ignored, SIG_IGN);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  for (;;) {
    int code = Reap(program);
    if (code >= 0) return code;
    int number = sigwaitinfo(&signals, nullptr);
    if (number > 0 && number != SIGCHLD) kill(program, number);
  }
}

}  // namespace slipway::agent
