#ifndef CLI_LINE_STAMPS_H_
#define CLI_LINE_STAMPS_H_

#include <array>

#include "slipway/log/v1/log.pb.h"

namespace slipway::cli {

// Tells where `logs --timestamps` prints a time: at the beginning of a line, and not where the log
// service cut a very long one into pieces. Not thread-safe.
class LineStamps {
 public:
  // To be asked once for each entry, in order.
  bool BeginsLine(const log::v1::LogEntry& entry);

 private:
  std::array<bool, 2> inside_ = {};  // stdout, stderr
};

}  // namespace slipway::cli

#endif  // CLI_LINE_STAMPS_H_
