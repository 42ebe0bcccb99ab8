#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {

absl::StatusOr<bool> Runtime::Signal(const std::string& id, int signal) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  if (signal < 1 || signal > SIGRTMAX) {
    return absl::InvalidArgumentError(absl::StrCat("invalid signal: ", signal));
  }
  const std::shared_ptr<RunHandles> handles = container->handles();
  if (handles == nullptr || !handles->pidfd.ok()) return false;
  if (syscall(SYS_pidfd_send_signal, handles->pidfd.get(), signal, nullptr, 0) == 0) {
    // What is frozen by cgroup v1 dies when it is thawed.
    if (signal == SIGKILL && container->actual().paused) Unpause(id).IgnoreError();
    return true;
  }
  if (errno == ESRCH) return false;
  return ErrnoStatus(errno, absl::StrCat("send signal ", signal, " to container ", id));
}

absl::Status Runtime::Resize(const std::string& id, uint32_t rows, uint32_t columns) {
  std::shared_ptr<UniqueFd> terminal;
  if (const std::shared_ptr<Exec> exec = FindExec(id); exec != nullptr) {
    terminal = exec->terminal();
  } else {
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
    if (auto handles = container->handles(); handles != nullptr) terminal = handles->terminal();
  }
  if (terminal == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot resize ", id, ": it has no terminal or does not run"));
  }
  winsize size{};
  size.ws_row = static_cast<unsigned short>(std::min<uint32_t>(rows, 0xffff));
  size.ws_col = static_cast<unsigned short>(std::min<uint32_t>(columns, 0xffff));
  if (ioctl(terminal->get(), TIOCSWINSZ, &size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("resize the terminal of ", id));
  }
  return absl::OkStatus();
}

void Runtime::CloseInput(const std::string& id) {
  auto found = Find(id);
  if (!found.ok()) return;
  const std::shared_ptr<RunHandles> handles = (*found)->handles();
  if (handles == nullptr || handles->terminal() != nullptr) return;
  // Streams that still hold the pipe let go of it when they see that it is closed here.
  executor_->Post(
      [this, id, handles] { supervisor_->CloseStdin(id, absl::Seconds(10)).IgnoreError(); });
  handles->DropInput();
}

}  // namespace slipway::agent
