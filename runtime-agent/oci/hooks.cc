#include "runtime-agent/oci/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/oci/launch.h"

namespace slipway::agent {
namespace {

constexpr size_t kToldBytes = 2048;
constexpr int kCannotRun = 126;

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// In the forked process.
[[noreturn]] void Become(const OciHook& hook, const HookPlace& place, int input, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (place.pidfd >= 0) {
    if (setns(place.pidfd, static_cast<int>(place.namespaces)) != 0) _exit(kCannotRun);
    if ((place.namespaces & CLONE_NEWPID) != 0) {
      // Only a child is in the pid namespace.
      const pid_t pid = fork();
      if (pid < 0) _exit(kCannotRun);
      if (pid > 0) _exit(AwaitEnd(pid));
      prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
  }
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  signal(SIGPIPE, SIG_DFL);
  execve(hook.path.c_str(), Pointers(hook.args).data(), Pointers(hook.env).data());
  const std::string why = absl::StrCat(ErrnoName(errno), "\n");
  if (write(2, why.data(), why.size()) < 0) _exit(kCannotRun);
  _exit(kCannotRun);
}

std::string WhatItPrinted(int output) {
  std::string text(kToldBytes, '\0');
  const off_t size = lseek(output, 0, SEEK_END);
  const off_t from = size > static_cast<off_t>(kToldBytes) ? size - kToldBytes : 0;
  const ssize_t count = pread(output, text.data(), text.size(), from);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

// A hook that does not read its input, and fills no pipe, is as good as one that does.
void WriteState(int pipe, const std::string& state) {
  size_t written = 0;
  while (written < state.size()) {
    const ssize_t count = write(pipe, state.data() + written, state.size() - written);
    if (count <= 0) return;
    written += static_cast<size_t>(count);
  }
}

absl::Status RunHook(const OciHook& hook, const std::string& state, const HookPlace& place) {
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  UniqueFd read_end(pipe[0]);
  UniqueFd write_end(pipe[1]);
  fcntl(write_end.get(), F_SETFL, O_NONBLOCK);
  const UniqueFd output(memfd_create("slipway-hook", MFD_CLOEXEC));
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) Become(hook, place, read_end.get(), output.get());
  read_end.reset();
  fcntl(write_end.get(), F_SETPIPE_SZ, 1 << 20);
  WriteState(write_end.get(), state);
  write_end.reset();
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd polled = {pidfd.get(), POLLIN, 0};
  const int timeout_ms = hook.timeout_s > 0 ? hook.timeout_s * 1000 : -1;
  int ready;
  do {
    ready = poll(&polled, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) kill(pid, SIGKILL);
  const int code = AwaitEnd(pid);
  if (ready == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("hook ", hook.path, " did not end in ", hook.timeout_s, " s"));
  }
  if (code == 0) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("hook ", hook.path, " exited with ", code, ": ", WhatItPrinted(output.get())));
}

}  // namespace

absl::Status RunHooks(const std::vector<OciHook>& hooks, const std::string& state,
                      const HookPlace& place) {
  for (const OciHook& hook : hooks) RETURN_IF_ERROR(RunHook(hook, state, place));
  return absl::OkStatus();
}

}  // namespace slipway::agent
