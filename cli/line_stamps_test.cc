#include "cli/line_stamps.h"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

log::v1::LogEntry Entry(common::v1::StdStream stream, bool continued) {
  log::v1::LogEntry entry;
  entry.set_stream(stream);
  entry.set_continued(continued);
  return entry;
}

TEST(LineStampsTest, PiecesOfALongLineHaveOneTimeWhateverTheOtherStreamWrites) {
  LineStamps stamps;
  const auto out = common::v1::STD_STREAM_STDOUT, err = common::v1::STD_STREAM_STDERR;
  EXPECT_TRUE(stamps.BeginsLine(Entry(out, false)));
  EXPECT_TRUE(stamps.BeginsLine(Entry(out, true)));
  EXPECT_TRUE(stamps.BeginsLine(Entry(err, false)));
  EXPECT_FALSE(stamps.BeginsLine(Entry(out, true)));
  EXPECT_FALSE(stamps.BeginsLine(Entry(out, false)));
  EXPECT_TRUE(stamps.BeginsLine(Entry(out, false)));
}

}  // namespace
}  // namespace slipway::cli
