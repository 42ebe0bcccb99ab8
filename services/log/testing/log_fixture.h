#ifndef SERVICES_LOG_TESTING_LOG_FIXTURE_H_
#define SERVICES_LOG_TESTING_LOG_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "services/log/domain/log_reading.h"
#include "services/log/ports/counters.h"
#include "services/log/store/segment_store.h"

// What the log service's tests share: a store in a directory of its own, and short ways to write
// and read. Not thread-safe, the store itself excepted.
namespace slipway::log {

// Removed with everything in it. Short, for sockets are below it too.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/slipway_log_XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline ContainerId TestId(char digit = 'a') { return *ContainerId::Parse(std::string(64, digit)); }

inline Record Chunk(StdStream stream, absl::string_view data, int64_t time = 0) {
  return {.time_unix_ns = time, .stream = stream, .data = data};
}
inline Record Out(absl::string_view data, int64_t time = 0) {
  return Chunk(StdStream::kStdout, data, time);
}
inline Record Err(absl::string_view data, int64_t time = 0) {
  return Chunk(StdStream::kStderr, data, time);
}
inline Record End(int64_t time = 0) { return {.time_unix_ns = time, .kind = RecordKind::kEnd}; }

// Keeps what it is given; never full unless told so.
class KeepingSink : public EntrySink {
 public:
  struct Kept {
    int64_t time;
    StdStream stream;
    std::string data;
    uint64_t dropped;
    bool continued;
  };
  explicit KeepingSink(size_t most_bytes = ~size_t{0}) : most_(most_bytes) {}
  void Add(const Entry& entry) override {
    kept.push_back({entry.time_unix_ns, entry.stream, std::string(entry.data), entry.dropped_bytes,
                    entry.continued});
    bytes_ += entry.data.size() + 1;
  }
  bool Full() const override { return bytes_ >= most_; }
  void Reset() { bytes_ = 0; }

  std::vector<Kept> kept;

 private:
  const size_t most_;
  size_t bytes_ = 0;
};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { Reopen(); }

  void Reopen(const StoreLimits& limits = {}) {
    store_.reset();
    auto store = SegmentStore::Open(directory_.path(), limits, counters_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Behind what was appended last.
  void Append(std::vector<Record> records, const ContainerId& id = TestId()) {
    Batch batch{.begin_offset_bytes = next_,
                .end_offset_bytes = next_ + 100,
                .records = std::move(records)};
    next_ += 100;
    const auto offset = store_->Append(id, batch);
    ASSERT_TRUE(offset.ok()) << offset.status();
    ASSERT_EQ(*offset, next_);
  }

  // Everything up to where the reader is done or waits.
  std::vector<KeepingSink::Kept> Read(const ReadOptions& options, size_t answer_bytes = 1 << 20,
                                      size_t piece_bytes = 1 << 20) {
    KeepingSink sink(answer_bytes);
    const auto log = store_->Open(TestId());
    EXPECT_TRUE(log.ok()) << log.status();
    if (!log.ok()) return {};
    ReadBuffer buffer;
    auto reading = LogReading::Start(*log, options, buffer);
    EXPECT_TRUE(reading.ok()) << reading.status();
    if (!reading.ok()) return {};
    while (true) {
      const auto progress = (*reading)->Fill(buffer, piece_bytes, sink);
      EXPECT_TRUE(progress.ok()) << progress.status();
      if (!progress.ok() || *progress != LogReading::Progress::kMore) return sink.kept;
      sink.Reset();
    }
  }

  // Entries as "time:stream:data" with stream o, e or -, "+" behind a continued one and "!n" for n
  // dropped bytes.
  static std::vector<std::string> Show(const std::vector<KeepingSink::Kept>& kept) {
    std::vector<std::string> shown;
    for (const auto& each : kept) {
      const char stream = each.stream == StdStream::kStdout   ? 'o'
                          : each.stream == StdStream::kStderr ? 'e'
                                                              : '-';
      std::string text = std::to_string(each.time) + ":" + stream + ":" + each.data;
      if (each.continued) text += "+";
      if (each.dropped != 0) text += "!" + std::to_string(each.dropped);
      shown.push_back(text);
    }
    return shown;
  }

  std::string All() {
    std::string all;
    for (const auto& kept : Read({})) all += kept.data;
    return all;
  }

  std::string ContainerDirectory(const ContainerId& id = TestId()) const {
    return directory_.path() + "/containers/" + id.value();
  }

  TemporaryDirectory directory_;
  Counters counters_;
  std::unique_ptr<SegmentStore> store_;
  uint64_t next_ = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_TESTING_LOG_FIXTURE_H_
