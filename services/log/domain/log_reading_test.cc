#include "services/log/domain/log_reading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "services/log/testing/log_fixture.h"

namespace slipway::log {
namespace {

using Strings = std::vector<std::string>;
using LogReadingTest = StoreTest;

TEST_F(LogReadingTest, ImpossibleRequests) {
  Append({Out("a\n", 1)});
  ReadBuffer buffer;
  const auto log = *store_->Open(TestId());
  EXPECT_EQ(LogReading::Start(log, {.streams = {false, false}}, buffer).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      LogReading::Start(log, {.since_unix_ns = 5, .until_unix_ns = 4}, buffer).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Open(TestId('b')).status().code(), absl::StatusCode::kNotFound);
}

struct Case {
  const char* name;
  ReadOptions options;
  Strings lines;
  Strings chunks;
};

// Stdout's second line lies around stderr's first; the last lines have no newline.
TEST_F(LogReadingTest, StreamsTailSinceUntil) {
  Append({Out("one\ntw", 10), Err("bad\n", 20)});
  Append({Out("o\n", 30), Out("three\n", 40)});
  Append({Err("worse\nwor", 50), Out("fo", 60), Out("ur", 70)});
  const std::vector<Case> cases = {
      {"all",
       {},
       {"10:o:one\n", "20:e:bad\n", "10:o:two\n", "40:o:three\n", "50:e:worse\n", "60:o:four",
        "50:e:wor"},
       {"10:o:one\ntw", "20:e:bad\n", "30:o:o\n", "40:o:three\n", "50:e:worse\nwor", "60:o:fo",
        "70:o:ur"}},
      {"stdout",
       {.streams = {true, false}},
       {"10:o:one\n", "10:o:two\n", "40:o:three\n", "60:o:four"},
       {"10:o:one\ntw", "30:o:o\n", "40:o:three\n", "60:o:fo", "70:o:ur"}},
      {"stderr",
       {.streams = {false, true}},
       {"20:e:bad\n", "50:e:worse\n", "50:e:wor"},
       {"20:e:bad\n", "50:e:worse\nwor"}},
      {"tail 0", {.tail_lines = 0}, {}, {}},
      {"tail 1", {.tail_lines = 1}, {"50:e:wor"}, {"50:e:wor"}},
      {"tail 2", {.tail_lines = 2}, {"60:o:four", "50:e:wor"}, {"50:e:wor", "60:o:fo", "70:o:ur"}},
      {"tail 3",
       {.tail_lines = 3},
       {"50:e:worse\n", "60:o:four", "50:e:wor"},
       {"50:e:worse\nwor", "60:o:fo", "70:o:ur"}},
      {"tail 5 begins inside stdout's chunk",
       {.tail_lines = 5},
       {"10:o:two\n", "40:o:three\n", "50:e:worse\n", "60:o:four", "50:e:wor"},
       {"10:o:tw", "30:o:o\n", "40:o:three\n", "50:e:worse\nwor", "60:o:fo", "70:o:ur"}},
      {"tail 2 of stdout",
       {.streams = {true, false}, .tail_lines = 2},
       {"40:o:three\n", "60:o:four"},
       {"40:o:three\n", "60:o:fo", "70:o:ur"}},
      {"tail more than there is",
       {.streams = {false, true}, .tail_lines = 99},
       {"20:e:bad\n", "50:e:worse\n", "50:e:wor"},
       {"20:e:bad\n", "50:e:worse\nwor"}},
      {"since is inclusive",
       {.since_unix_ns = 40},
       {"40:o:three\n", "50:e:worse\n", "60:o:four", "50:e:wor"},
       {"40:o:three\n", "50:e:worse\nwor", "60:o:fo", "70:o:ur"}},
      {"since in the middle of a line", {.since_unix_ns = 65}, {}, {"70:o:ur"}},
      {"until is inclusive, and lets a line end",
       {.until_unix_ns = 20},
       {"10:o:one\n", "20:e:bad\n", "10:o:two\n"},
       {"10:o:one\ntw", "20:e:bad\n"}},
      {"since and until",
       {.since_unix_ns = 20, .until_unix_ns = 40},
       {"20:e:bad\n", "40:o:three\n"},
       {"20:e:bad\n", "30:o:o\n", "40:o:three\n"}},
      {"tail, then until",
       {.until_unix_ns = 50, .tail_lines = 4},
       {"40:o:three\n", "50:e:worse\n", "50:e:wor"},
       {"40:o:three\n", "50:e:worse\nwor"}},
      {"since after everything", {.since_unix_ns = 1000}, {}, {}},
      {"until before everything", {.until_unix_ns = 5}, {}, {}},
  };
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    for (const Case& each : cases) {
      ReadOptions options = each.options;
      // The smallest answers cut everywhere and must not change what is read.
      EXPECT_EQ(Show(Read(options)), each.chunks) << each.name;
      options.lines = true;
      EXPECT_EQ(Show(Read(options)), each.lines) << each.name;
      EXPECT_EQ(Show(Read(options, 1)), each.lines) << each.name;
    }
  }
}

TEST_F(LogReadingTest, AnEndEndsLinesAndARestartBeginsNewOnes) {
  Append({Out("half", 1), Err("also", 2), End(3)});
  Append({Out("new\n", 4)});
  ReadOptions lines{.lines = true};
  EXPECT_EQ(Show(Read(lines)), (Strings{"1:o:half", "2:e:also", "4:o:new\n"}));
  lines.tail_lines = 2;
  EXPECT_EQ(Show(Read(lines)), (Strings{"2:e:also", "4:o:new\n"}));
}

TEST_F(LogReadingTest, GapsAreShownWhereTheyAre) {
  Append({Out("a\nb", 1),
          {.time_unix_ns = 2,
           .kind = RecordKind::kGap,
           .stream = StdStream::kStdout,
           .dropped_bytes = 77},
          Out("c\n", 3)});
  EXPECT_EQ(Show(Read({.lines = true})), (Strings{"1:o:a\n", "1:o:b", "2:o:!77", "3:o:c\n"}));
  EXPECT_EQ(Show(Read({.streams = {false, true}})), Strings{});
  // Offsets that never came.
  next_ += 50;
  Append({Out("d\n", 4)});
  EXPECT_EQ(Show(Read({.tail_lines = 1, .lines = true})), (Strings{"4:-:!50", "4:o:d\n"}));
  EXPECT_EQ(counters_.gap_bytes, 50u);
}

TEST_F(LogReadingTest, ATenMegabyteLine) {
  std::string line(10 << 20, 'x');
  line += '\n';
  Append({Out("before\n", 1)});
  for (size_t at = 0; at < line.size(); at += 100'000) {
    Append({Out(absl::string_view(line).substr(at, 100'000), 2), Err("e\n", 3)});
  }
  const auto kept = Read({.streams = {true, false}, .tail_lines = 1, .lines = true}, 256 << 10);
  std::string all;
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_LE(kept[i].data.size(), size_t{1} << 20);
    EXPECT_EQ(kept[i].continued, i + 1 < kept.size());
    EXPECT_EQ(kept[i].time, 2);
    all += kept[i].data;
  }
  EXPECT_TRUE(all == line);
}

TEST_F(LogReadingTest, SinceSeeksAndSurvivesAClockThatGoesBack) {
  Reopen({.segment_bytes = 1 << 20});
  const std::string line(999, 'y');
  for (int i = 0; i < 8000; ++i) {
    const int64_t time = i == 4000 ? 1000 : 1'000'000 + i;
    Append({Out(line + "\n", time)});
  }
  const auto kept = Read({.since_unix_ns = 1'003'999, .until_unix_ns = 1'004'002, .lines = true});
  ASSERT_EQ(kept.size(), 3u);  // 3999, 4001, 4002: the one in between has an older time
  EXPECT_EQ(kept[0].time, 1'003'999);
  EXPECT_EQ(kept[2].time, 1'004'002);
  EXPECT_GT(store_->Stats(TestId())->stored_bytes, 8'000'000u);
}

// What a reader of the whole log would make of it by hand.
struct Model {
  std::vector<std::pair<StdStream, std::string>> Lines() const {
    std::vector<std::pair<StdStream, std::string>> lines;
    std::array<std::string, kStreams> open;
    const auto flush = [&](size_t i) {
      if (open[i].empty()) return;
      lines.emplace_back(i == 0 ? StdStream::kStdout : StdStream::kStderr, std::move(open[i]));
      open[i].clear();
    };
    for (const Record& record : records) {
      if (record.kind == RecordKind::kEnd) {
        flush(0);
        flush(1);
        continue;
      }
      for (const char c : record.data) {
        open[StreamIndex(record.stream)] += c;
        if (c == '\n') flush(StreamIndex(record.stream));
      }
    }
    flush(0);
    flush(1);
    return lines;
  }
  std::vector<Record> records;
};

TEST_F(LogReadingTest, TailOfAnythingIsTheEndOfTheWholeLog) {
  std::mt19937 random(20240611);
  for (int round = 0; round < 60; ++round) {
    const ContainerId id = TestId();
    ASSERT_TRUE(store_->Delete(id).ok());
    next_ = 0;
    Reopen({.segment_bytes = 128 << 10});
    std::vector<std::string> texts;
    texts.reserve(400);
    Model model;
    const bool long_chunks = round % 3 == 0;
    for (int i = 0; i < 60; ++i) {
      if (random() % 15 == 0) {
        model.records.push_back(End(i + 1));
      } else {
        std::string text;
        const size_t length = random() % (long_chunks ? 9000 : 12);
        const unsigned newline = long_chunks ? 2000 : 4;
        for (size_t k = 0; k < length; ++k) {
          text += random() % newline == 0 ? '\n' : static_cast<char>('a' + i % 26);
        }
        texts.push_back(std::move(text));
        model.records.push_back(
            Chunk(random() % 5 < 3 ? StdStream::kStdout : StdStream::kStderr, texts.back(), i + 1));
      }
      Append({model.records.back()});
    }
    for (const auto& [out, err] : {std::pair(true, true), {true, false}, {false, true}}) {
      std::vector<std::string> wanted;
      for (const auto& [stream, line] : model.Lines()) {
        if (stream == StdStream::kStdout ? out : err) wanted.push_back(line);
      }
      for (const uint64_t tail : {0, 1, 2, 3, 5, 8, 20, 1000}) {
        Strings expected(
            wanted.end() - static_cast<ptrdiff_t>(std::min<size_t>(tail, wanted.size())),
            wanted.end());
        Strings found;
        for (const auto& kept : Read({.streams = {out, err}, .tail_lines = tail, .lines = true})) {
          found.push_back(kept.data);
        }
        ASSERT_EQ(found, expected) << "round " << round << " tail " << tail << out << err;
        std::array<std::string, 2> by_stream, expected_by_stream;
        for (const auto& kept : Read({.streams = {out, err}, .tail_lines = tail}, 700, 300)) {
          by_stream[StreamIndex(kept.stream)] += kept.data;
        }
        const auto lines = model.Lines();
        size_t left = expected.size();
        for (auto at = lines.rbegin(); at != lines.rend() && left > 0; ++at) {
          if (!(at->first == StdStream::kStdout ? out : err)) continue;
          expected_by_stream[StreamIndex(at->first)].insert(0, at->second);
          --left;
        }
        ASSERT_EQ(by_stream, expected_by_stream) << "round " << round << " tail " << tail;
      }
    }
  }
}

}  // namespace
}  // namespace slipway::log
