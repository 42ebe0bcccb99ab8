#include "services/log/domain/merged_reading.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/log/domain/count.h"
#include "services/log/testing/log_fixture.h"

namespace slipway::log {
namespace {

using Strings = std::vector<std::string>;

std::shared_ptr<const LineMatcher> Matcher(const SearchOptions& options) {
  auto matcher = LineMatcher::Create(options);
  EXPECT_TRUE(matcher.ok()) << matcher.status();
  return *matcher;
}

TEST(LineMatcherTest, BadExpressionsSayWhatIsWrong) {
  const auto error = [](const SearchOptions& options) {
    const auto matcher = LineMatcher::Create(options);
    EXPECT_EQ(matcher.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(matcher.status().message());
  };
  EXPECT_NE(error({.regex = "a("}).find("\"a(\": missing )"), std::string::npos)
      << error({.regex = "a("});
  EXPECT_NE(error({.regex = "a)(b"}).find("unexpected )"), std::string::npos);
  EXPECT_NE(error({.regex = "((a{100}){100}){100}"}).size(), 0u);
  EXPECT_NE(error({.regex = std::string(10000, 'a')}).find("longer"), std::string::npos);
  EXPECT_NE(error({.substring = "a\nb"}).find("newline"), std::string::npos);
  EXPECT_NE(error({.substring = "a", .lines_before = 5000}).find("context"), std::string::npos);
}

TEST(LineMatcherTest, LinesAreFoundWhereTheyLie) {
  const std::string text = "one\ntwo ERROR x\n\nthree error\nERR";
  const auto lines = [&](const SearchOptions& options) {
    Strings found;
    const auto matcher = Matcher(options);
    for (size_t from = 0;;) {
      const auto range = matcher->Find(text, from);
      if (!range) return found;
      found.push_back(text.substr(range->begin, range->end - range->begin));
      from = range->end;
    }
  };
  EXPECT_EQ(lines({.substring = "ERR"}), (Strings{"two ERROR x\n", "ERR"}));
  EXPECT_EQ(lines({.substring = "error", .ignore_case = true}),
            (Strings{"two ERROR x\n", "three error\n"}));
  EXPECT_EQ(lines({.regex = "^t.*r$"}), (Strings{"three error\n"}));
  EXPECT_EQ(lines({.regex = "^$"}), (Strings{"\n"}));
  EXPECT_EQ(lines({.regex = "x\\s*three"}), Strings{});  // never over a line's end
  EXPECT_EQ(lines({.substring = "ERR", .regex = "x$"}), (Strings{"two ERROR x\n"}));
  EXPECT_FALSE(Matcher({.substring = "a", .invert = true})->Matches("bab\n"));
  EXPECT_TRUE(Matcher({.substring = "a", .invert = true})->Matches("b\n"));
}

using SearchTest = StoreTest;

TEST_F(SearchTest, MatchesAndTheLinesAroundThem) {
  Append({Out("a1\nb", 1), Err("e1\n", 2), Out("2\nc3\nd4\n", 3), Out("c5\nzz", 4), Out("z\n", 5)});
  EXPECT_EQ(Show(Read({.matcher = Matcher({.substring = "2"})})), (Strings{"1:o:b2\n"}));
  EXPECT_EQ(Show(Read({.matcher = Matcher({.regex = "^c"})})), (Strings{"3:o:c3\n", "4:o:c5\n"}));
  EXPECT_EQ(Show(Read({.matcher = Matcher({.substring = "zzz"})})), (Strings{"4:o:zzz\n"}));
  EXPECT_EQ(
      Show(Read({.matcher = Matcher({.substring = "c3", .lines_before = 2, .lines_after = 1})})),
      (Strings{"2:e:e1\n", "1:o:b2\n", "3:o:c3\n", "3:o:d4\n"}));
  EXPECT_EQ(Show(Read({.matcher = Matcher({.substring = "c", .invert = true})}, 1)),
            (Strings{"1:o:a1\n", "2:e:e1\n", "1:o:b2\n", "3:o:d4\n", "4:o:zzz\n"}));
  EXPECT_EQ(Show(Read({.since_unix_ns = 4, .matcher = Matcher({.substring = "c"})})),
            (Strings{"4:o:c5\n"}));
  EXPECT_EQ(Show(Read({.until_unix_ns = 3, .matcher = Matcher({.substring = "c"})})),
            (Strings{"3:o:c3\n"}));
}

// Whatever way lines lie in chunks, records, frames and answers: found is what a plain look finds.
TEST_F(SearchTest, RandomChunksAgreeWithAPlainLook) {
  std::mt19937 random(7);
  Reopen({.segment_bytes = 1 << 20});
  Strings expected;
  std::string open;
  std::string text;
  for (int i = 0; i < 30'000; ++i) {
    const std::string line =
        absl::StrCat("line ", random() % 100'000, std::string(random() % 120, '.'), "\n");
    text += line;
    if (absl::StrContains(line, "777")) expected.push_back(line);
  }
  for (size_t at = 0; at < text.size();) {
    const size_t size = std::min<size_t>(1 + random() % 90'000, text.size() - at);
    Append({Out(absl::string_view(text).substr(at, size), 1)});
    at += size;
  }
  for (const bool sealed : {false, true}) {
    if (sealed) store_->AwaitSealed();
    for (const size_t answer : {size_t{1}, size_t{5000}, size_t{1} << 20}) {
      Strings found;
      for (const auto& kept : Read({.matcher = Matcher({.substring = "777"})}, answer))
        found.push_back(kept.data);
      EXPECT_EQ(found.size(), expected.size());
      EXPECT_TRUE(found == expected) << sealed << " " << answer;
    }
    ReadBuffer buffer;
    const auto count = CountEntries(
        *store_->Open(TestId()), {.matcher = Matcher({.regex = "7{3}"})}, [] { return false; },
        buffer);
    EXPECT_EQ(count->lines, expected.size());
    const auto kept = CountKeptLines(**store_->Open(TestId()));
    EXPECT_EQ((*kept)[0], 30'000u);
  }
}

// What a sealed log's trigrams let a search pass over has nothing of what it looks for: whatever
// streams, lines over several records and stretches, gaps and ends of runs there are.
TEST_F(SearchTest, PassesOverOnlyWhatHasNothing) {
  std::mt19937 random(11);
  Reopen({.segment_bytes = 3 << 20});
  const auto words = [&random](size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) absl::StrAppend(&text, "w", random() % 700, " ");
    return text;
  };
  for (int i = 0; i < 300; ++i) {
    std::vector<Record> records;
    std::array<std::string, 6> texts;
    for (std::string& text : texts) {
      const int lines = static_cast<int>(random() % 100);
      for (int line = 0; line < lines; ++line) absl::StrAppend(&text, words(random() % 40), "\n");
      if (random() % 40 == 0) absl::StrAppend(&text, "here is Rare", i % 37, "Thing and more\n");
      if (random() % 60 == 0) text += std::string(60'000, static_cast<char>('a' + random() % 26));
      absl::StrAppend(&text, "cut Rar");  // what follows may make it a rare word
      if (random() % 50 == 0) text += "e5Th";
      records.push_back(random() % 3 == 0 ? Err(text, i + 1) : Out(text, i + 1));
      if (random() % 200 == 0) records.push_back(End(i + 1));
    }
    if (random() % 90 == 0) next_ += 17;  // never came
    Append(std::move(records));
  }
  std::vector<SearchOptions> searches = {
      {.substring = "e5Thcut"},
      {.substring = "cut Rare5Th"},
      {.substring = "RARE3tHING", .ignore_case = true},
      {.substring = "aaaaaaaaaaaaaa"},
      {.regex = "Rare(4|9)Thing|nothing of that"},
      {.regex = "^cut Rare5Th"},
      {.regex = "(?i)rare8thing"},
      {.regex = "Rare[0-3]+Thing"},
      {.substring = "here", .regex = "1Thing"},
      {.substring = "Rare7Thing", .invert = true},
      {.substring = "Rare7Thing", .lines_before = 3},
      {.substring = "w699 w1"},
  };
  for (int i = 0; i < 40; ++i) searches.push_back({.substring = absl::StrCat("Rare", i, "Thing")});
  std::vector<Strings> expected;
  for (const SearchOptions& search : searches) {
    expected.push_back(Show(Read({.matcher = Matcher(search)})));
  }
  store_->AwaitSealed();
  for (size_t i = 0; i < searches.size(); ++i) {
    for (const size_t answer : {size_t{1}, size_t{1} << 20}) {
      EXPECT_TRUE(Show(Read({.matcher = Matcher(searches[i])}, answer)) == expected[i])
          << searches[i].substring << " " << searches[i].regex;
    }
    const ReadOptions part{
        .since_unix_ns = 100, .until_unix_ns = 200, .matcher = Matcher(searches[i])};
    size_t between = 0;
    for (const std::string& line : expected[i]) {
      const int time = atoi(line.c_str());
      if (time >= 100 && time <= 200 && line.find('!') == std::string::npos) ++between;
    }
    size_t found = 0;
    for (const auto& kept : Read(part)) found += kept.dropped == 0 ? 1 : 0;
    EXPECT_EQ(found, between) << searches[i].substring << " " << searches[i].regex;
  }
  const auto read_of = [&](const std::string& text) {
    const auto matcher = Matcher({.substring = text});
    const auto cursor = (*store_->Open(TestId()))->NewCursor({}, matcher->probe());
    ReadBuffer buffer;
    LogItem item;
    uint64_t bytes = 0;
    while (*cursor->Next(buffer, item)) bytes += item.record.data.size();
    return bytes;
  };
  const uint64_t all = read_of("w1");
  EXPECT_LT(read_of("nothing like this"), all / 2);
  EXPECT_LT(read_of("Rare12Thing"), all * 3 / 4);
}

// Each record ends in the middle of a word that no other line has: wherever stretches begin, it is
// found.
TEST_F(SearchTest, FindsLinesThatLieAcrossStretches) {
  std::mt19937 random(13);
  Reopen({.segment_bytes = 4 << 20});
  std::array<std::string, kStreams> rest;
  Strings words;
  for (int i = 0; i < 200; ++i) {
    const bool error = random() % 4 == 0;
    std::string& open = rest[error ? 1 : 0];
    std::string text = open.empty() ? "" : open + "\n";
    const size_t size = random() % 8 == 0 ? 10 : 60'000;
    while (text.size() < size) absl::StrAppend(&text, absl::Hex(random()), " 0123456789 abcdef\n");
    std::string word;
    while (word.size() < 16) word += static_cast<char>('g' + random() % 20);
    words.push_back(word);
    text += word.substr(0, 7);
    open = word.substr(7);
    Append({error ? Err(text, i + 1) : Out(text, i + 1)});
  }
  Append({Out(rest[0] + "\n", 201), Err(rest[1] + "\n", 201)});
  store_->AwaitSealed();
  for (const std::string& word : words) {
    const auto found = Read({.matcher = Matcher({.substring = word})});
    ASSERT_EQ(found.size(), 1u) << word;
    EXPECT_EQ(found[0].data, word + "\n");
  }
}

class MergedTest : public StoreTest {
 protected:
  void Describe(char id, const std::string& name, std::map<std::string, std::string> labels = {},
                const std::string& image = "busybox") {
    ASSERT_TRUE(
        store_
            ->Describe(
                TestId(id),
                {.name = name, .image = image, .labels = std::move(labels), .created_unix_ns = id})
            .ok());
  }
  void AppendTo(char id, std::vector<Record> records) {
    uint64_t& next = offsets_[id];
    const auto offset = store_->Append(TestId(id), {next, next + 100, std::move(records)});
    ASSERT_TRUE(offset.ok()) << offset.status();
    next += 100;
  }
  // "a:data", and the cursor behind it.
  class Sink : public EntrySink {
   public:
    explicit Sink(size_t most) : most_(most) {}
    void Add(const Entry& entry) override {
      lines.push_back(absl::StrCat(entry.container_id.substr(0, 1), ":", entry.data));
    }
    bool Full() const override { return lines.size() >= most_; }
    Strings lines;

   private:
    const size_t most_;
  };
  Strings ReadMerged(const Selector& selector, const ReadOptions& options = {}, size_t each = 1000,
                     std::vector<Place> places = {}) {
    ReadBuffer buffer;
    auto reading = MergedReading::Start(*store_, selector, options, std::move(places), buffer);
    EXPECT_TRUE(reading.ok()) << reading.status();
    if (!reading.ok()) return {};
    Strings all;
    while (true) {
      Sink sink(each);
      const auto progress = (*reading)->Fill(buffer, 1 << 20, sink);
      EXPECT_TRUE(progress.ok());
      all.insert(all.end(), sink.lines.begin(), sink.lines.end());
      if (*progress != Reading::Progress::kMore) return all;
    }
  }
  std::map<char, uint64_t> offsets_;
};

TEST_F(MergedTest, SelectionErrors) {
  Describe('a', "web");
  Describe('b', "db");
  ReadBuffer buffer;
  const auto status = [&](const Selector& selector) {
    return MergedReading::Start(*store_, selector, {}, {}, buffer).status();
  };
  EXPECT_EQ(status({}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.containers = {"nosuch"}}).code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status({.containers = {"nosuch"}}).message().find("nosuch"), absl::string_view::npos);
  EXPECT_TRUE(status({.containers = {"web"}}).ok());
  EXPECT_TRUE(status({.containers = {"aaaa"}}).ok());
  EXPECT_TRUE(status({.labels = {"none"}}).ok());
}

TEST_F(MergedTest, ByTimeOverContainersLabelsImagesAndProjects) {
  Describe('a', "web", {{"com.docker.compose.project", "shop"}, {"tier", "front"}}, "nginx:1");
  Describe('b', "db", {{"com.docker.compose.project", "shop"}});
  Describe('c', "other");
  AppendTo('a', {Out("a1\na2\n", 10), Out("a3\n", 40)});
  AppendTo('b', {Out("b1\n", 20), Err("b2\n", 30), Out("b3", 50)});
  AppendTo('c', {Out("c1\n", 25)});
  const Strings all = {"a:a1\n", "a:a2\n", "b:b1\n", "c:c1\n", "b:b2\n", "a:a3\n", "b:b3"};
  EXPECT_EQ(ReadMerged({.all = true}), all);
  EXPECT_EQ(ReadMerged({.all = true}, {}, 1), all);
  EXPECT_EQ(ReadMerged({.projects = {"shop"}}),
            (Strings{"a:a1\n", "a:a2\n", "b:b1\n", "b:b2\n", "a:a3\n", "b:b3"}));
  EXPECT_EQ(ReadMerged({.labels = {"tier=front"}}), (Strings{"a:a1\n", "a:a2\n", "a:a3\n"}));
  EXPECT_EQ(ReadMerged({.labels = {"tier=back"}}), Strings{});
  EXPECT_EQ(ReadMerged({.images = {"busybox"}}), (Strings{"b:b1\n", "c:c1\n", "b:b2\n", "b:b3"}));
  EXPECT_EQ(ReadMerged({.containers = {"db", "web"}}, {.tail_lines = 1}),
            (Strings{"a:a3\n", "b:b3"}));
  EXPECT_EQ(ReadMerged({.all = true}, {.matcher = Matcher({.regex = "[ab]2"})}),
            (Strings{"a:a2\n", "b:b2\n"}));
}

// Broken off anywhere and gone on from there: every line once.
TEST_F(MergedTest, CursorsGoOnAnywhere) {
  std::mt19937 random(3);
  std::string expected;
  for (const char id : {'a', 'b', 'c'}) Describe(id, std::string(1, id));
  int64_t time = 0;
  std::map<std::string, std::string> open;
  for (int i = 0; i < 400; ++i) {
    const char id = "abc"[random() % 3];
    const bool err = random() % 2 == 0;
    std::string data = absl::StrCat(i);
    if (random() % 3 != 0) data += "\n";
    if (random() % 4 == 0) data += "x\ny";
    AppendTo(id, {Chunk(err ? StdStream::kStderr : StdStream::kStdout, data, ++time)});
  }
  const Strings whole = ReadMerged({.all = true});
  ReadBuffer buffer;
  for (const size_t step : {size_t{1}, size_t{3}, size_t{17}}) {
    Strings lines;
    std::vector<Place> places;
    while (true) {
      auto reading = *MergedReading::Start(*store_, {.all = true}, {}, places, buffer);
      Sink sink(step);
      const auto progress = *reading->Fill(buffer, 1 << 20, sink);
      lines.insert(lines.end(), sink.lines.begin(), sink.lines.end());
      if (progress == Reading::Progress::kDone || lines.size() > whole.size()) break;
      places = reading->Places();
    }
    Strings sorted = lines, wanted = whole;
    std::sort(sorted.begin(), sorted.end());
    std::sort(wanted.begin(), wanted.end());
    EXPECT_TRUE(sorted == wanted) << step << ": " << lines.size() << " of " << whole.size();
  }
}

TEST_F(MergedTest, FollowersSeeNewLinesAndNewLogs) {
  Describe('a', "web", {{"k", "v"}});
  AppendTo('a', {Out("a1\n", 1)});
  ReadBuffer buffer;
  auto reading = *MergedReading::Start(*store_, {.labels = {"k"}}, {.follow = true}, {}, buffer);
  Sink sink(100);
  std::atomic<int> woken{0};
  const auto wait = [&] {
    ASSERT_EQ(*reading->Fill(buffer, 1 << 20, sink), Reading::Progress::kWait);
    ASSERT_TRUE(reading->Wait([&] { ++woken; }));
  };
  wait();
  EXPECT_EQ(sink.lines, (Strings{"a:a1\n"}));
  AppendTo('a', {Out("a2\n", 2)});
  EXPECT_EQ(woken, 1);
  wait();
  Describe('b', "db", {{"k", "w"}});
  EXPECT_EQ(woken, 2);
  AppendTo('b', {Out("b1\n", 3)});
  wait();
  EXPECT_EQ(sink.lines, (Strings{"a:a1\n", "a:a2\n", "b:b1\n"}));
  // The end of a container is not that of the selection, for it may run again.
  AppendTo('b', {End(4)});
  wait();
  // Containers that were named end together.
  auto named = *MergedReading::Start(*store_, {.containers = {"db"}}, {.follow = true}, {}, buffer);
  EXPECT_EQ(*named->Fill(buffer, 1 << 20, sink), Reading::Progress::kDone);
}

}  // namespace
}  // namespace slipway::log
