#ifndef CLI_TERMINAL_H_
#define CLI_TERMINAL_H_

#include <termios.h>

#include "slipway/common/v1/common.pb.h"

namespace slipway::cli {

// Puts the terminal on stdin into raw mode and back again. Does nothing where stdin is no terminal.
class RawMode {
 public:
  RawMode();
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  bool active_ = false;
  termios saved_{};
};

bool IsTerminal(int fd);

// Size of the terminal on stdout or stdin; 0 x 0 where there is none.
common::v1::TerminalSize WindowSize();

}  // namespace slipway::cli

#endif  // CLI_TERMINAL_H_
