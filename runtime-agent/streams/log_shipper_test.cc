#include "runtime-agent/streams/log_shipper.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <deque>

#include "absl/time/clock.h"
#include "runtime-agent/spool/format.h"

namespace slipway::agent {
namespace {

const auto kContainer = std::make_shared<const LoggedContainer>(LoggedContainer{.name = "web"});

class NullObserver : public Observer {
 public:
  void Started(double, bool) override {}
  void StartFailed(const std::string&) override {}
  void Exited() override {}
  void ShippedBytes(uint64_t) override {}
  void DroppedBytes(uint64_t bytes) override { dropped += bytes; }
  void Removed(double) override {}
  std::atomic<uint64_t> dropped{0};
};

// A log service in memory that can be away, break streams and forget to acknowledge.
class FakeLog : public LogSink {
 public:
  class Stream : public LogStream {
   public:
    Stream(FakeLog* log, std::function<void(const std::string&, uint64_t)> acknowledge,
           std::function<void()> on_broken)
        : log_(log), acknowledge_(std::move(acknowledge)), on_broken_(std::move(on_broken)) {}
    bool Write(ShippedBatch batch) override {
      if (broken_ || log_->down) {
        broken_ = true;
        return false;
      }
      const std::string id = batch.container_id;
      const uint64_t position = log_->Take(std::move(batch));
      if (log_->break_after > 0 && --log_->break_after == 0) {
        broken_ = true;
        on_broken_();
      }
      if (!broken_ && log_->acknowledges) acknowledge_(id, position);
      return true;
    }
    void Cancel() override { broken_ = true; }
    bool broken() const override { return broken_ || log_->down; }

   private:
    FakeLog* const log_;
    const std::function<void(const std::string&, uint64_t)> acknowledge_;
    const std::function<void()> on_broken_;
    std::atomic<bool> broken_{false};
  };

  absl::StatusOr<std::unique_ptr<LogStream>> OpenStream(
      std::function<void(const std::string&, uint64_t)> acknowledge,
      std::function<void()> on_broken) override {
    if (down) return absl::UnavailableError("away");
    ++streams;
    return std::make_unique<Stream>(this, std::move(acknowledge), std::move(on_broken));
  }
  absl::StatusOr<uint64_t> Position(const std::string& id) override {
    if (down) return absl::UnavailableError("away");
    absl::MutexLock lock(&mutex_);
    return positions_[id];
  }
  absl::Status Delete(const std::string&) override { return absl::OkStatus(); }

  uint64_t Take(ShippedBatch batch) {
    absl::MutexLock lock(&mutex_);
    uint64_t& position = positions_[batch.container_id];
    EXPECT_LE(batch.begin_offset, position) << "a hole";
    if (batch.begin_offset < position) return position;
    position = batch.end_offset;
    ++batches;
    for (ShippedRecord& record : batch.records) {
      if (record.kind == ShippedRecord::Kind::kEnd) ++ends_;
      text_ += record.data;
    }
    return position;
  }
  std::string text() {
    absl::MutexLock lock(&mutex_);
    return text_;
  }
  int ends() {
    absl::MutexLock lock(&mutex_);
    return ends_;
  }
  uint64_t position(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    return positions_[id];
  }

  std::atomic<bool> down{false};
  std::atomic<bool> acknowledges{true};
  std::atomic<int> break_after{0};
  std::atomic<int> streams{0};
  std::atomic<int> batches{0};

 private:
  absl::Mutex mutex_;
  std::map<std::string, uint64_t> positions_;
  std::string text_;
  int ends_ = 0;
};

// A spool that the test writes as the supervisor does.
class ShipperTest : public testing::Test {
 protected:
  void SetUp() override {
    const int fd = memfd_create("spool", MFD_CLOEXEC);
    output_ = std::make_shared<Output>(Output::Options{
        .id = "c", .file = UniqueFd(fd), .read_slot = [this](uint32_t, uint64_t) {
          ++looks_;
          return absl::StatusOr<SlotStatus>(SlotStatus{.spool_committed = committed_});
        }});
    shipper_ = std::make_unique<LogShipper>(LogShipper::Options{
        .sink = &log_, .observer = &observer_, .release = [this](const std::string&, uint64_t at) {
          released_ = at;
        }});
  }

  void Put(SpoolRecordType type, const std::string& data, uint8_t stream = 1) {
    PutInto(*output_, committed_, type, data, stream);
  }
  void PutInto(const Output& output, std::atomic<uint64_t>& committed, SpoolRecordType type,
               const std::string& data, uint8_t stream = 1) {
    SpoolRecordHeader header{.magic = kSpoolMagic,
                             .type = static_cast<uint8_t>(type),
                             .stream = stream,
                             .flags = 0,
                             .length = static_cast<uint32_t>(data.size()),
                             .crc32c = 0,
                             .time_ns = 1};
    header.crc32c = SpoolHeaderCrc(header);
    uint64_t at = committed;
    ASSERT_EQ(pwrite(output.fd(), &header, sizeof(header), static_cast<off_t>(at)),
              static_cast<ssize_t>(sizeof(header)));
    at += sizeof(header);
    ASSERT_EQ(pwrite(output.fd(), data.data(), data.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(data.size()));
    committed = at + data.size();
    shipper_->Wake();
  }
  void End() {
    Put(SpoolRecordType::kEnd, "", 1);
    Put(SpoolRecordType::kEnd, "", 2);
    output_->EndRun(committed_, 0);
    shipper_->Wake();
  }
  absl::Status Flush(absl::Duration patience = absl::Seconds(10)) {
    return shipper_->Flush("c", absl::Now() + patience);
  }

  static bool Soon(const std::function<bool()>& holds) {
    for (int i = 0; i < 5000 && !holds(); ++i) usleep(1000);
    return holds();
  }

  std::atomic<uint64_t> committed_{0};
  std::atomic<uint64_t> released_{0};
  std::atomic<int> looks_{0};
  FakeLog log_;
  NullObserver observer_;
  std::shared_ptr<Output> output_;
  std::unique_ptr<LogShipper> shipper_;
};

TEST_F(ShipperTest, AServiceThatIsAwayLosesNothing) {
  log_.down = true;
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  Put(SpoolRecordType::kStdout, "one ");
  EXPECT_EQ(Flush(absl::Milliseconds(50)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(released_, 0u);
  Put(SpoolRecordType::kStdout, "two");
  log_.down = false;
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), "one two");
}

TEST_F(ShipperTest, ASilentRunIsNotTold) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  End();
  EXPECT_TRUE(shipper_->Flush("c", absl::Now() + absl::Seconds(10), /*announce=*/false).ok());
  EXPECT_EQ(log_.streams, 0);
  EXPECT_FALSE(output_->stored());
  // What it left comes with what the next run prints.
  output_->BeginRun(0, 2);
  shipper_->Follow(output_, kContainer, false);
  Put(SpoolRecordType::kStdout, "text");
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), "text");
  EXPECT_EQ(log_.ends(), 1);
}

TEST_F(ShipperTest, ASilentRunIsToldToWhoAsksAndWhenItGoesOn) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.streams, 1);
  auto other = std::make_shared<Output>(Output::Options{
      .id = "d",
      .file = UniqueFd(memfd_create("spool", MFD_CLOEXEC)),
      .read_slot = [](uint32_t, uint64_t) { return absl::StatusOr<SlotStatus>(SlotStatus{}); }});
  other->BeginRun(0, 1);
  const absl::Time begin = absl::Now();
  shipper_->Follow(other, kContainer, true);
  EXPECT_TRUE(shipper_->Flush("d", begin + absl::Seconds(10), /*announce=*/false).ok());
  EXPECT_GE(absl::Now() - begin, LogShipper::kSilentFor);
  EXPECT_TRUE(other->stored());
}

// Who follows the log of a run that has just begun is not told the end of the one before.
TEST_F(ShipperTest, ARunThatBeginsAnewIsToldBeforeAFlushEnds) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  Put(SpoolRecordType::kStdout, "text");
  EXPECT_TRUE(Flush().ok());
  for (uint64_t run = 2; run < 20; ++run) {
    const int before = log_.batches;
    output_->BeginRun(0, run);
    shipper_->Follow(output_, kContainer, false);
    EXPECT_TRUE(Flush().ok());
    EXPECT_GT(log_.batches, before);
  }
}

TEST_F(ShipperTest, BrokenStreamsShipEveryByteOnce) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string line = std::to_string(i) + "\n";
    expected += line;
    Put(SpoolRecordType::kStdout, line);
    if (i % 40 == 7) log_.break_after = 1;
    if (i % 40 == 9) {
      EXPECT_TRUE(Flush().ok());
    }
  }
  End();
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), expected);
  EXPECT_EQ(log_.ends(), 1);
  EXPECT_GT(log_.streams, 1);
}

TEST_F(ShipperTest, UnacknowledgedBytesAreBounded) {
  log_.acknowledges = false;
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 12; ++i) Put(SpoolRecordType::kStdout, block);
  EXPECT_FALSE(Flush(absl::Milliseconds(200)).ok());
  EXPECT_LE(log_.text().size(), LogShipper::kWindowBytes + LogShipper::kBatchBytes + (1 << 20));
  EXPECT_GE(shipper_->lag_bytes(), 12u << 20);
}

TEST_F(ShipperTest, WhoHasLittleToShipDoesNotWaitBehindWhoHasMuch) {
  log_.acknowledges = false;
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 12; ++i) Put(SpoolRecordType::kStdout, block);
  EXPECT_FALSE(Flush(absl::Milliseconds(100)).ok());
  std::atomic<uint64_t> committed{0};
  const auto other = std::make_shared<Output>(
      Output::Options{.id = "a",
                      .file = UniqueFd(memfd_create("spool", MFD_CLOEXEC)),
                      .read_slot = [&](uint32_t, uint64_t) {
                        return absl::StatusOr<SlotStatus>(SlotStatus{.spool_committed = committed});
                      }});
  other->BeginRun(1, 1);
  shipper_->Follow(other, kContainer, true);
  PutInto(*other, committed, SpoolRecordType::kStdout, "little");
  for (int i = 0; i < 5000 && log_.position("a") == 0; ++i) usleep(1000);
  EXPECT_EQ(log_.position("a"), committed);
  shipper_->Forget("a");
  other->EndRun(committed, 0);
}

// The one whose id comes first has more and more to ship: the others get their turns all the same.
TEST_F(ShipperTest, WhoHaveMuchToShipTakeTurns) {
  log_.acknowledges = false;
  log_.down = true;
  output_->BeginRun(0, 1);
  std::atomic<uint64_t> committed{0};
  const auto other = std::make_shared<Output>(
      Output::Options{.id = "d",
                      .file = UniqueFd(memfd_create("spool", MFD_CLOEXEC)),
                      .read_slot = [&](uint32_t, uint64_t) {
                        return absl::StatusOr<SlotStatus>(SlotStatus{.spool_committed = committed});
                      }});
  other->BeginRun(1, 1);
  const std::string block(512 << 10, 'x');
  for (int i = 0; i < 12; ++i) {
    Put(SpoolRecordType::kStdout, block);
    PutInto(*other, committed, SpoolRecordType::kStdout, block);
  }
  shipper_->Follow(output_, kContainer, true);
  shipper_->Follow(other, kContainer, true);
  log_.down = false;
  for (int i = 0; i < 5000 && log_.position("d") < (1 << 20); ++i) usleep(1000);
  EXPECT_GE(log_.position("d"), 1u << 20);
  EXPECT_LE(log_.position("c") + log_.position("d"),
            2 * LogShipper::kWindowBytes + LogShipper::kBatchBytes);
  shipper_->Forget("d");
}

TEST_F(ShipperTest, ManySmallRecordsAreShippedTogether) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  const absl::Time begin = absl::Now();
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    expected += "line\n";
    Put(SpoolRecordType::kStdout, "line\n");
    usleep(100);
  }
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), expected);
  EXPECT_LE(log_.batches, 2 + (absl::Now() - begin) / LogShipper::kPace);
}

TEST_F(ShipperTest, AnEndedStreamIsNotTheEndOfTheRun) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  Put(SpoolRecordType::kStdout, "a");
  Put(SpoolRecordType::kEnd, "", 1);
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.ends(), 0);
  Put(SpoolRecordType::kStderr, "b", 2);
  Put(SpoolRecordType::kEnd, "", 2);
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.ends(), 0);
  output_->EndRun(committed_, 0);
  shipper_->Wake();
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), "ab");
  EXPECT_EQ(log_.ends(), 1);
}

TEST_F(ShipperTest, GapsAreShippedAndCounted) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  const SpoolGap gap{.dropped_bytes = 77, .dropped_chunks = 2};
  Put(SpoolRecordType::kGap, std::string(reinterpret_cast<const char*>(&gap), sizeof(gap)));
  EXPECT_TRUE(Flush().ok());
  // Told behind the flush's answer, as releases are.
  EXPECT_TRUE(Soon([this] { return observer_.dropped == 77u; }));
}

TEST_F(ShipperTest, WhatReadersNeedIsNotReleased) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, kContainer, true);
  auto reader = Output::AddReader(output_, 0);
  Put(SpoolRecordType::kStdout, "abc");
  EXPECT_TRUE(Flush().ok());
  usleep(20000);
  EXPECT_EQ(released_, 0u);
  reader->Advance(committed_);
  Put(SpoolRecordType::kStdout, "d");
  EXPECT_TRUE(Flush().ok());
  EXPECT_TRUE(Soon([this] { return released_ > 0; }));
}

TEST_F(ShipperTest, DriverNoneReleasesWithoutShipping) {
  output_->BeginRun(0, 1);
  shipper_->Follow(output_, nullptr, true);
  Put(SpoolRecordType::kStdout, "abc");
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), "");
  EXPECT_TRUE(Soon([this] { return released_ == committed_; }));
  // And rests until there is more.
  const int before = looks_;
  usleep(100'000);
  EXPECT_LE(looks_ - before, 10);
}

TEST_F(ShipperTest, BytesThatAreNoRecordAreSkippedAndSaid) {
  output_->BeginRun(0, 1);
  ASSERT_EQ(pwrite(output_->fd(), "garbage garbage garbage garbage", 31, 0), 31);
  committed_ = 31;
  shipper_->Follow(output_, kContainer, true);
  EXPECT_TRUE(Flush().ok());
  Put(SpoolRecordType::kStdout, "good");
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(log_.text(), "good");
}

}  // namespace
}  // namespace slipway::agent
