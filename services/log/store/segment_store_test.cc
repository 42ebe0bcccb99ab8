#include "services/log/store/segment_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "services/log/testing/log_fixture.h"

namespace slipway::log {
namespace {

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteBytes(const std::string& path, absl::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class SegmentStoreTest : public StoreTest {
 protected:
  std::vector<std::string> Files(const std::string& extension) {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(ContainerDirectory())) {
      if (entry.path().extension() == extension) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  std::string LastSegment() { return Files(".seg").back(); }
};

TEST_F(SegmentStoreTest, UnknownContainersAreNotFoundAndDeletingThemIsFine) {
  EXPECT_EQ(store_->AcknowledgedOffset(TestId()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Stats(TestId()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->Delete(TestId()).ok());
  EXPECT_FALSE(std::filesystem::exists(ContainerDirectory()));
  for (const char* bad : {"", "../../etc", "ABC", "a/b"}) {
    EXPECT_EQ(ContainerId::Parse(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
  // An empty batch makes a container known.
  EXPECT_EQ(*store_->Append(TestId(), {}), 0u);
  EXPECT_EQ(*store_->AcknowledgedOffset(TestId()), 0u);
  EXPECT_EQ(All(), "");
}

TEST_F(SegmentStoreTest, WhatIsShippedAgainIsStoredOnce) {
  const Batch first{.begin_offset_bytes = 0, .end_offset_bytes = 10, .records = {Out("a\n", 1)}};
  const Batch second{.begin_offset_bytes = 10, .end_offset_bytes = 20, .records = {Out("b\n", 2)}};
  EXPECT_EQ(*store_->Append(TestId(), first), 10u);
  EXPECT_EQ(*store_->Append(TestId(), first), 10u);
  EXPECT_EQ(*store_->Append(TestId(), second), 20u);
  Reopen();
  EXPECT_EQ(*store_->AcknowledgedOffset(TestId()), 20u);
  EXPECT_EQ(*store_->Append(TestId(), first), 20u);
  EXPECT_EQ(*store_->Append(TestId(), second), 20u);
  EXPECT_EQ(All(), "a\nb\n");
  EXPECT_EQ(counters_.duplicate_batches, 3u);
}

TEST_F(SegmentStoreTest, ABatchThatIsStoredInPartIsSplitOrRefused) {
  ASSERT_TRUE(store_->Append(TestId(), {0, 10, {Out("a\n", 1)}}).ok());
  const auto refused = store_->Append(TestId(), {0, 20, {Out("a\n", 1), Out("b\n", 2)}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("offset 10"), absl::string_view::npos);
  Record a = Out("a\n", 1), b = Out("b\n", 2);
  a.spool_end_bytes = 10;
  b.spool_end_bytes = 20;
  EXPECT_EQ(*store_->Append(TestId(), {0, 20, {a, b}}), 20u);
  // The cut does not lie between records.
  a.spool_end_bytes = 25;
  EXPECT_FALSE(store_->Append(TestId(), {15, 40, {a, b}}).ok());
  EXPECT_EQ(All(), "a\nb\n");
}

TEST_F(SegmentStoreTest, StatsCountOverSegmentsAndRestarts) {
  Reopen({.segment_bytes = 100'000});
  const std::string line(9'999, 'l');
  for (int i = 0; i < 50; ++i) Append({Out(line + "\n", i + 1), Err("e", i + 1)});
  for (int round = 0; round < 2; ++round) {
    const auto stats = store_->Stats(TestId());
    ASSERT_TRUE(stats.ok());
    EXPECT_EQ(stats->stdout_bytes, 500'000u);
    EXPECT_EQ(stats->stderr_bytes, 50u);
    EXPECT_EQ(stats->records, 100u);
    EXPECT_EQ(static_cast<int64_t>(stats->stored_bytes), counters_.stored_bytes);
    EXPECT_GT(Files(".seg").size(), 4u);
    counters_.stored_bytes = 0;
    Reopen({.segment_bytes = 100'000});
  }
}

TEST_F(SegmentStoreTest, ATornBatchIsCutOffWhereverItWasTorn) {
  Append({Out("kept\n", 1)});
  store_.reset();
  const std::string path = LastSegment();
  const std::string whole = ReadBytes(path);
  Reopen();
  Append({Out("first of two\n", 2), Err("second of two\n", 3)});
  store_.reset();
  const std::string more = ReadBytes(path);
  for (size_t size = whole.size(); size < more.size(); ++size) {
    WriteBytes(path, absl::string_view(more).substr(0, size));
    Reopen();
    ASSERT_EQ(*store_->AcknowledgedOffset(TestId()), 100u) << size;
    ASSERT_EQ(*store_->Append(TestId(), {100, 200, {Out("again\n", 2)}}), 200u);
    ASSERT_EQ(All(), "kept\nagain\n") << size;
    store_.reset();
  }
  // What a power cut may leave: the size, but not the data.
  WriteBytes(path, whole + std::string(500, '\0'));
  Reopen();
  EXPECT_EQ(*store_->AcknowledgedOffset(TestId()), 100u);
  EXPECT_EQ(All(), "kept\n");
}

TEST_F(SegmentStoreTest, AFlippedByteCostsTheRecordItIsIn) {
  std::vector<std::string> texts;
  for (int i = 0; i < 6; ++i) texts.push_back(absl::StrCat("record number ", i, "\n"));
  for (int i = 0; i < 6; i += 2) Append({Out(texts[i], i + 1), Out(texts[i + 1], i + 2)});
  store_.reset();
  const std::string path = LastSegment();
  const std::string good = ReadBytes(path);
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    WriteBytes(path, bytes);
    Reopen();
    int missing = 0;
    const std::string all = All();
    for (const std::string& text : texts) missing += absl::StrContains(all, text) ? 0 : 1;
    ASSERT_LE(missing, at < kSegmentPrologueBytes ? 0 : 1) << "byte " << at;
    // The last record's header is the only one that can hide how far the log is.
    ASSERT_GE(*store_->AcknowledgedOffset(TestId()), 300u) << "byte " << at;
    uint64_t dropped = 0;
    for (const auto& kept : Read({.lines = true})) dropped += kept.dropped;
    ASSERT_EQ(dropped != 0, missing == 1) << "byte " << at;
    store_.reset();
    WriteBytes(path, good);
  }
}

TEST_F(SegmentStoreTest, ContainersCannotForgeRecords) {
  Append({Out("real\n", 1)});
  char forged[kRecordHeaderBytes];
  EncodeRecordHeader({.kind = RecordKind::kEnd, .last_of_batch = true, .spool_end_bytes = 1 << 30},
                     0, forged);
  const std::string text(forged, sizeof(forged));
  Append({Out(text, 2), Out("after\n", 3)});
  store_.reset();
  std::string bytes = ReadBytes(LastSegment());
  bytes[bytes.find(text) - kRecordHeaderBytes + 9] ^= 1;  // the length in front of it
  WriteBytes(LastSegment(), bytes);
  Reopen();
  EXPECT_EQ(*store_->AcknowledgedOffset(TestId()), 200u);
  EXPECT_EQ(All(), "real\nafter\n");
}

TEST_F(SegmentStoreTest, RandomDamageNeverBreaksTheStore) {
  std::mt19937 random(7);
  Reopen({.segment_bytes = 70'000});
  for (int i = 0; i < 120; ++i) Append({Out(std::string(2'000, 'x') + "\n", i + 1)});
  store_.reset();
  std::vector<std::string> files = Files(".seg");
  for (const std::string& index : Files(".idx")) files.push_back(index);
  for (int round = 0; round < 60; ++round) {
    for (const std::string& file : files) {
      std::string bytes = ReadBytes(file);
      if (bytes.empty()) continue;
      for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 20 == 0) bytes.resize(random() % bytes.size());
      WriteBytes(file, bytes);
    }
    Reopen({.segment_bytes = 70'000});
    (void)All();
    (void)Read({.since_unix_ns = 60, .tail_lines = 30, .lines = true});
    const uint64_t at = *store_->AcknowledgedOffset(TestId());
    ASSERT_TRUE(store_->Append(TestId(), {at, at + 10, {Out("new\n", 1000)}}).ok());
    const std::string all = All();
    ASSERT_TRUE(absl::EndsWith(all, "new\n")) << round;
    store_.reset();
  }
}

TEST_F(SegmentStoreTest, AMissingIndexIsMadeAgain) {
  Reopen({.segment_bytes = 300'000});
  for (int i = 0; i < 1'000; ++i) Append({Out(std::string(999, 'i') + "\n", 1'000 + i)});
  const auto before = Show(Read({.since_unix_ns = 1'500, .tail_lines = 700, .lines = true}));
  ASSERT_EQ(before.size(), 500u);
  store_.reset();
  for (const std::string& index : Files(".idx")) std::filesystem::remove(index);
  Reopen({.segment_bytes = 300'000});
  EXPECT_EQ(Show(Read({.since_unix_ns = 1'500, .tail_lines = 700, .lines = true})), before);
  EXPECT_GE(Files(".idx").size(), 3u);
}

TEST_F(SegmentStoreTest, RetentionKeepsTheNewestOfAContainer) {
  Reopen({.segment_bytes = 100'000, .container_bytes = 300'000});
  for (int i = 0; i < 1'000; ++i)
    Append({Out(absl::StrCat(std::string(990, 'r'), i, "\n"), i + 1)});
  EXPECT_LE(store_->Stats(TestId())->stored_bytes, 420'000u);
  EXPECT_EQ(store_->Stats(TestId())->records, 1'000u);
  EXPECT_GT(counters_.retention_deleted_bytes, 500'000u);
  EXPECT_TRUE(absl::EndsWith(All(), "r999\n"));
  EXPECT_EQ(Read({.tail_lines = 5'000, .lines = true}).size(), Read({.lines = true}).size());
}

TEST_F(SegmentStoreTest, RetentionInTotalTakesTheOldestOfAll) {
  const StoreLimits limits{
      .segment_bytes = 100'000, .container_bytes = 500'000, .total_bytes = 600'000};
  Reopen(limits);
  for (const char id : {'a', 'b', 'c'}) {
    next_ = 0;
    for (int i = 0; i < 400; ++i) Append({Out(std::string(999, id) + "\n", i + 1)}, TestId(id));
  }
  // What is being sealed at that moment goes with the next round.
  for (int round = 0; round < 500; ++round) {
    store_->Maintain();
    if (counters_.stored_bytes <= 600'000) break;
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_LE(counters_.stored_bytes, 600'000);
  // The one written first gave most.
  EXPECT_LT(store_->Stats(TestId('a'))->stored_bytes, 150'000u);
  EXPECT_GT(store_->Stats(TestId('c'))->stored_bytes, 400'000u);
  Reopen(limits);
  EXPECT_EQ(store_->Stats(TestId('c'))->stdout_bytes, 400'000u);
}

TEST_F(SegmentStoreTest, AReaderThatRetentionOvertakesIsToldSo) {
  Reopen({.segment_bytes = 100'000, .container_bytes = 200'000});
  for (int i = 0; i < 100; ++i) Append({Out(std::string(999, '1') + "\n", i + 1)});
  const auto log = *store_->Open(TestId());
  ReadBuffer buffer;
  const auto reading = *LogReading::Start(log, {.follow = true}, buffer);
  KeepingSink little(1);
  ASSERT_EQ(*reading->Fill(buffer, 1 << 20, little), LogReading::Progress::kMore);
  for (int i = 0; i < 1'000; ++i) Append({Out(std::string(999, '2') + "\n", i + 200)});
  KeepingSink rest;
  LogReading::Progress progress = LogReading::Progress::kMore;
  while (progress == LogReading::Progress::kMore) progress = *reading->Fill(buffer, 1 << 20, rest);
  uint64_t dropped = 0, ones = 0;
  for (const auto& kept : rest.kept) {
    dropped += kept.dropped;
    ones += kept.data[0] == '1' ? 1 : 0;
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_GE(ones, 90u);  // its own segment it keeps open
}

TEST_F(SegmentStoreTest, DeleteRemovesAndALaterAppendBeginsAnew) {
  Append({Out("old\n", 1)});
  const auto log = *store_->Open(TestId());
  bool woken = false;
  ASSERT_TRUE(log->WaitBeyond(log->State().end, 0, [&] { woken = true; }));
  ASSERT_TRUE(store_->Delete(TestId()).ok());
  EXPECT_TRUE(woken);
  EXPECT_TRUE(log->State().deleted);
  EXPECT_FALSE(log->WaitBeyond(log->State().end, 0, [] {}));
  EXPECT_FALSE(std::filesystem::exists(ContainerDirectory()));
  store_->Maintain();
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() + "/deleting"));
  EXPECT_EQ(counters_.stored_bytes, 0);
  EXPECT_EQ(counters_.containers, 0);
  next_ = 0;
  Append({Out("new\n", 2)});
  EXPECT_EQ(All(), "new\n");
}

TEST_F(SegmentStoreTest, AFullDiskStoresNothingOfABatchAndSaysSo) {
  TemporaryDirectory mounted;
  ASSERT_EQ(mount("tmpfs", mounted.path().c_str(), "tmpfs", 0, "size=1m"), 0);
  {
    Counters counters;
    auto store = *SegmentStore::Open(mounted.path(), {}, counters);
    const std::string big(300'000, 'f');
    uint64_t offset = 0;
    absl::StatusOr<uint64_t> appended = offset;
    while (appended.ok()) {
      offset = *appended;
      appended = store->Append(TestId(), {offset, offset + 10, {Out(big, 1)}});
    }
    EXPECT_EQ(appended.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_NE(appended.status().message().find(mounted.path()), absl::string_view::npos);
    EXPECT_EQ(*store->AcknowledgedOffset(TestId()), offset);
    EXPECT_EQ(store->Stats(TestId())->stdout_bytes, offset / 10 * big.size());
    // What still fits goes in.
    EXPECT_TRUE(store->Append(TestId(), {offset, offset + 10, {Out("small\n", 1)}}).ok());
  }
  EXPECT_EQ(umount(mounted.path().c_str()), 0);
}

// A child appends numbered lines and says what was acknowledged; it is killed at any moment.
[[noreturn]] void AppendUntilKilled(const std::string& root, int acknowledged) {
  Counters counters;
  auto store = SegmentStore::Open(root, {.segment_bytes = 200'000}, counters);
  if (!store.ok()) _exit(1);
  uint64_t at = 0;
  if (const auto offset = (*store)->AcknowledgedOffset(TestId()); offset.ok()) at = *offset;
  while (true) {
    std::vector<std::string> lines;
    for (uint64_t i = 0; i < 1 + at % 50; ++i) lines.push_back(absl::StrCat(at + i, "\n"));
    Batch batch{.begin_offset_bytes = at, .end_offset_bytes = at + lines.size(), .records = {}};
    for (const std::string& line : lines) batch.records.push_back(Out(line, 1));
    const auto offset = (*store)->Append(TestId(), batch);
    if (!offset.ok()) _exit(2);
    at = *offset;
    if (write(acknowledged, &at, sizeof(at)) != sizeof(at)) _exit(3);
  }
}

TEST_F(SegmentStoreTest, KilledInTheMiddleOfAppendingEveryLineIsThereOnce) {
  store_.reset();
  std::mt19937 random(1);
  for (int round = 0; round < 25; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) AppendUntilKilled(directory_.path(), pipe_fds[1]);
    close(pipe_fds[1]);
    uint64_t acknowledged = 0, value = 0;
    const int wanted = 1 + static_cast<int>(random() % 300);
    for (int i = 0; i < wanted && read(pipe_fds[0], &value, sizeof(value)) == sizeof(value); ++i) {
      acknowledged = value;
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    while (read(pipe_fds[0], &value, sizeof(value)) == sizeof(value)) acknowledged = value;
    close(pipe_fds[0]);
    Reopen({.segment_bytes = 200'000});
    const uint64_t stored = *store_->AcknowledgedOffset(TestId());
    ASSERT_GE(stored, acknowledged);
    uint64_t expected = 0;
    const std::string all = All();
    for (const absl::string_view line : absl::StrSplit(all, '\n', absl::SkipEmpty())) {
      ASSERT_EQ(line, absl::StrCat(expected++));
    }
    ASSERT_EQ(expected, stored);
    store_.reset();
  }
}

TEST_F(SegmentStoreTest, SealedSegmentsReadTheSame) {
  Reopen({.segment_bytes = 1 << 20});
  std::string text;
  for (int i = 0; text.size() < 4'000'000; ++i) {
    std::string line;
    for (int j = 0; j < 600; ++j)
      absl::StrAppend(&line, "GET /item/", i * 600 + j, " 200 1234 \"agent\"\n");
    Append({Out(line, i + 1)});
    text += line;
  }
  const auto before = Show(Read({.since_unix_ns = 30, .tail_lines = 40'000, .lines = true}));
  const uint64_t plain = store_->Stats(TestId())->stored_bytes;
  store_->AwaitSealed();
  EXPECT_EQ(Files(".seg").size(), 1u);  // that which is appended to
  EXPECT_GE(Files(".zst").size(), 3u);
  EXPECT_TRUE(All() == text);
  EXPECT_EQ(Show(Read({.since_unix_ns = 30, .tail_lines = 40'000, .lines = true})), before);
  const uint64_t sealed = store_->Stats(TestId())->stored_bytes;
  EXPECT_LT(sealed, plain / 2);
  EXPECT_EQ(static_cast<uint64_t>(counters_.stored_bytes), sealed);
  Reopen({.segment_bytes = 1 << 20});
  EXPECT_TRUE(All() == text);
  EXPECT_EQ(store_->Stats(TestId())->stored_bytes, sealed);
  // Any zstd gives the segment as it was written.
  const std::string first = Files(".zst").front();
  const std::string out = directory_.path() + "/unpacked";
  ASSERT_EQ(system(absl::StrCat("zstd -qdc ", first, " > ", out).c_str()), 0);
  EXPECT_TRUE(absl::StartsWith(ReadBytes(out), "SLWYLOG1"));
  // An index that is lost is made again.
  for (const std::string& index : Files(".idx")) std::filesystem::remove(index);
  EXPECT_EQ(Show(Read({.since_unix_ns = 30, .tail_lines = 40'000, .lines = true})), before);
}

TEST_F(SegmentStoreTest, TheLogOfAContainerThatEndedIsSealedSoon) {
  Append({Out(std::string(1 << 20, 'x') + "\n", 1)});
  Append({End(2)});
  for (int i = 0; i < 200 && Files(".zst").empty(); ++i) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(Files(".zst").size(), 1u);
  EXPECT_EQ(All().size(), (1u << 20) + 1);
}

TEST_F(SegmentStoreTest, DamageToASealedSegmentCostsAFrame) {
  Reopen({.segment_bytes = 1 << 20});
  const std::string line = std::string(99, 'x') + "\n";
  for (int i = 0; i < 300; ++i) {
    std::string data;
    for (int j = 0; j < 100; ++j) data += line;
    Append({Out(data, i + 1)});
  }
  store_->AwaitSealed();
  const std::string whole = All();
  const std::string file = Files(".zst").front();
  const std::string good = ReadBytes(file);
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 + random() % 255);
    if (round % 7 == 0) bad.resize(bad.size() - 1 - random() % 30);
    WriteBytes(file, bad);
    Reopen({.segment_bytes = 1 << 20});
    const size_t kept = All().size();
    EXPECT_LE(kept, whole.size());
    EXPECT_GE(kept + 260'000, whole.size()) << "round " << round;
  }
}

TEST_F(SegmentStoreTest, TruncatingDeletesWhatIsStoredAndGoesOn) {
  Append({Out("old\nol", 1)});
  Append({Err("err\n", 2)});
  EXPECT_GT(*store_->Truncate(TestId()), 0u);
  EXPECT_EQ(All(), "");
  EXPECT_EQ(store_->Stats(TestId())->kept_payload_bytes, 0u);
  EXPECT_EQ(store_->Stats(TestId())->stdout_bytes, 6u);
  EXPECT_EQ(*store_->Truncate(TestId()), 0u);
  Append({Out("new\n", 3)});
  EXPECT_EQ(All(), "new\n");
  Reopen();
  EXPECT_EQ(All(), "new\n");
  EXPECT_EQ(*store_->AcknowledgedOffset(TestId()), next_);
  EXPECT_EQ(store_->Truncate(TestId('f')).status().code(), absl::StatusCode::kNotFound);
}

// What readers are told is gone, and what they get, is what was written.
TEST_F(SegmentStoreTest, AReaderThatIsOvertakenIsToldExactlyWhatItMissed) {
  Reopen({.segment_bytes = 128 << 10, .container_bytes = 512 << 10});
  const std::string line = std::string(999, 'y') + "\n";
  Append({Out(line, 1)});
  const auto log = *store_->Open(TestId());
  ReadBuffer buffer;
  const auto reading = *LogReading::Start(log, {.follow = true}, buffer);
  KeepingSink sink;
  ASSERT_TRUE(reading->Fill(buffer, 1 << 20, sink).ok());
  for (int i = 0; i < 3000; ++i) {
    next_ += 950;  // a batch takes more of the spool than the data
    Batch batch{next_ - 950, next_ + 100, {Out(line, i + 2)}};
    next_ += 100;
    ASSERT_TRUE(store_->Append(TestId(), batch).ok());
  }
  uint64_t given = 0, dropped = 0;
  while (*reading->Fill(buffer, 1 << 20, sink) == Reading::Progress::kMore) {
  }
  for (const auto& kept : sink.kept) {
    given += kept.data.size();
    dropped += kept.dropped;
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(given + dropped, 3001u * 1000);
}

TEST_F(SegmentStoreTest, OldOutputGoesAndDescriptionsBoundWhatIsKept) {
  Reopen({.age_ns = 3'600'000'000'000});
  Append({Out("old\n", 1)});
  const std::string segment = LastSegment();
  std::filesystem::last_write_time(
      segment, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  store_->Maintain();
  EXPECT_EQ(All(), "");
  ASSERT_TRUE(store_
                  ->Describe(TestId('b'), {.name = "small",
                                           .driver = "local",
                                           .options = {{"max-size", "100k"}, {"max-file", "3"}}})
                  .ok());
  const std::string data(50'000, 'z');
  for (uint64_t at = 0; at < 40; ++at) {
    ASSERT_TRUE(store_->Append(TestId('b'), {at * 100, at * 100 + 100, {Out(data, 1)}}).ok());
  }
  EXPECT_LE(store_->Stats(TestId('b'))->stored_bytes, 420'000u);
  Reopen();
  ASSERT_EQ(store_->List().size(), 2u);
  for (const DescribedLog& log : store_->List()) {
    if (log.container_id != TestId('b').value()) continue;
    EXPECT_EQ(log.description->name, "small");
  }
}

TEST_F(SegmentStoreTest, AnEmptyBatchSaysThatARunGoesOn) {
  Append({Out("a\n", 1), End(2)});
  EXPECT_TRUE((*store_->Open(TestId()))->State().ended);
  ASSERT_TRUE(store_->Append(TestId(), {next_, next_, {}}).ok());
  EXPECT_FALSE((*store_->Open(TestId()))->State().ended);
  Append({End(3)});
  EXPECT_TRUE((*store_->Open(TestId()))->State().ended);
}

TEST_F(SegmentStoreTest, AContainerThatEndedStaysEndedWhenItsLogIsRolled) {
  Append({Out(std::string(400'000, 'a') + "\n", 1), End(2)});
  const auto log = *store_->Open(TestId());
  ASSERT_TRUE(static_cast<ContainerLog*>(log.get())->Roll(1000).ok());
  store_->AwaitSealed();
  EXPECT_TRUE(log->State().ended);
  Reopen();
  EXPECT_TRUE((*store_->Open(TestId()))->State().ended);
  EXPECT_EQ(All().size(), 400'001u);
}

}  // namespace
}  // namespace slipway::log
