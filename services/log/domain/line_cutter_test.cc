#include "services/log/domain/line_cutter.h"

#include <gtest/gtest.h>

#include "services/log/testing/log_fixture.h"

namespace slipway::log {
namespace {

constexpr size_t kPiece = 1 << 20;

std::vector<std::string> Texts(const KeepingSink& sink) {
  std::vector<std::string> texts;
  for (const auto& kept : sink.kept) {
    texts.push_back(std::to_string(kept.time) + ":" + kept.data + (kept.continued ? "+" : ""));
  }
  return texts;
}

using Strings = std::vector<std::string>;

TEST(LineCutterTest, ALineGoesOnOverChunksAndOverTheOtherStream) {
  KeepingSink sink;
  LineCutter cutter(0);
  cutter.Feed(StdStream::kStdout, 1, "ab", kPiece, false, sink);
  cutter.Feed(StdStream::kStderr, 2, "xyz\nq", kPiece, false, sink);
  cutter.Feed(StdStream::kStdout, 3, "c\nd\n", kPiece, false, sink);
  cutter.Break(StdStream::kStderr, sink);
  EXPECT_EQ(Texts(sink), (Strings{"2:xyz\n", "1:abc\n", "3:d\n", "2:q"}));
}

TEST(LineCutterTest, EmptyLinesNulsAndNothing) {
  KeepingSink sink;
  LineCutter cutter(0);
  const absl::string_view bytes("\n\0\n\n", 4);
  EXPECT_EQ(cutter.Feed(StdStream::kStdout, 1, bytes, kPiece, false, sink), 4u);
  EXPECT_EQ(cutter.Feed(StdStream::kStdout, 1, "", kPiece, false, sink), 0u);
  cutter.Break(StdStream::kStdout, sink);
  ASSERT_EQ(sink.kept.size(), 3u);
  EXPECT_EQ(sink.kept[1].data, std::string("\0\n", 2));
}

TEST(LineCutterTest, LongLinesComeInPieces) {
  KeepingSink sink;
  LineCutter cutter(0);
  cutter.Feed(StdStream::kStdout, 1, "abc", 4, false, sink);
  cutter.Feed(StdStream::kStdout, 2, "defgh", 4, false, sink);
  cutter.Feed(StdStream::kStdout, 3, "\nx\n", 4, false, sink);
  EXPECT_EQ(Texts(sink), (Strings{"1:abcd+", "1:efgh+", "1:\n", "3:x\n"}));
}

TEST(LineCutterTest, LinesThatBeginTooEarlyAreLeftOutWhole) {
  KeepingSink sink;
  LineCutter cutter(5);
  cutter.Feed(StdStream::kStdout, 4, "early\nstill ea", kPiece, false, sink);
  cutter.Feed(StdStream::kStdout, 6, "rly\nlate\n", kPiece, false, sink);
  cutter.LeaveOutRest(StdStream::kStderr);
  EXPECT_FALSE(cutter.Open(StdStream::kStderr));
  cutter.Feed(StdStream::kStderr, 7, "rest\nnew", kPiece, false, sink);
  cutter.Break(StdStream::kStderr, sink);
  EXPECT_EQ(Texts(sink), (Strings{"6:late\n", "7:new"}));
}

TEST(LineCutterTest, AFullSinkStopsAndOneLineStops) {
  KeepingSink sink(1);
  LineCutter cutter(0);
  EXPECT_EQ(cutter.Feed(StdStream::kStdout, 1, "a\nb\n", kPiece, false, sink), 2u);
  KeepingSink roomy;
  EXPECT_EQ(cutter.Feed(StdStream::kStdout, 1, "b\nc\n", kPiece, true, roomy), 2u);
}

}  // namespace
}  // namespace slipway::log
