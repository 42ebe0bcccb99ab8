#include "cli/line_stamps.h"

#include <utility>

namespace slipway::cli {

bool LineStamps::BeginsLine(const log::v1::LogEntry& entry) {
  bool& inside = inside_[entry.stream() == common::v1::STD_STREAM_STDERR ? 1 : 0];
  return !std::exchange(inside, entry.continued());
}

}  // namespace slipway::cli
