#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace slipway::cli {

RawMode::RawMode() {
  if (tcgetattr(STDIN_FILENO, &saved_) != 0) return;
  termios raw = saved_;
  cfmakeraw(&raw);
  active_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

RawMode::~RawMode() {
  if (active_) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
}

bool IsTerminal(int fd) { return isatty(fd) == 1; }

common::v1::TerminalSize WindowSize() {
  common::v1::TerminalSize size;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ||
      ioctl(STDIN_FILENO, TIOCGWINSZ, &window) == 0) {
    size.set_rows(window.ws_row);
    size.set_columns(window.ws_col);
  }
  return size;
}

}  // namespace slipway::cli
