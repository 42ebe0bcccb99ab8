#include "runtime-agent/shipping/log_shipper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/metrics/metrics.h"
#include "base/rpc/channel.h"
#include "base/rpc/server.h"
#include "runtime-agent/spool/format.h"

namespace slipway::agent {
namespace {

// Stores what is shipped as the log service does: by offset, once.
class FakeLog : public log::v1::LogService::Service {
 public:
  grpc::Status GetLogPosition(grpc::ServerContext*, const log::v1::GetLogPositionRequest* request,
                              log::v1::GetLogPositionResponse* response) override {
    absl::MutexLock lock(&mu);
    response->set_acknowledged_offset_bytes(offsets[request->container_id()]);
    return grpc::Status::OK;
  }

  grpc::Status AppendLog(grpc::ServerContext*,
                         grpc::ServerReaderWriter<log::v1::AppendLogResponse,
                                                  log::v1::AppendLogRequest>* stream) override {
    log::v1::AppendLogRequest batch;
    while (stream->Read(&batch)) {
      log::v1::AppendLogResponse response;
      {
        absl::MutexLock lock(&mu);
        uint64_t& offset = offsets[batch.container_id()];
        if (batch.begin_offset_bytes() == offset) {
          for (const log::v1::LogRecord& record : batch.records()) {
            if (record.has_chunk()) text[batch.container_id()] += record.chunk().data();
            if (record.has_end()) text[batch.container_id()] += "<end>";
          }
          offset = batch.end_offset_bytes();
        } else {
          EXPECT_LE(batch.end_offset_bytes(), offset) << "records were left out";
        }
        response.set_container_id(batch.container_id());
        response.set_acknowledged_offset_bytes(offset);
        if (batches_until_failure > 0 && --batches_until_failure == 0) {
          return grpc::Status(grpc::StatusCode::UNAVAILABLE, "asked to fail");
        }
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status DeleteLog(grpc::ServerContext*, const log::v1::DeleteLogRequest* request,
                         log::v1::DeleteLogResponse*) override {
    absl::MutexLock lock(&mu);
    deleted += request->container_id();
    return grpc::Status::OK;
  }

  absl::Mutex mu;
  std::map<std::string, uint64_t> offsets;
  std::map<std::string, std::string> text;
  std::string deleted;
  int batches_until_failure = 0;
};

// A spool file as the supervisor writes it.
class SpoolFile {
 public:
  explicit SpoolFile(const std::string& path)
      : path_(path), fd_(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}

  void Write(SpoolRecordType type, uint8_t stream, const std::string& data) {
    SpoolRecordHeader header{};
    header.magic = kSpoolMagic;
    header.type = static_cast<uint8_t>(type);
    header.stream = stream;
    header.length = static_cast<uint32_t>(data.size());
    header.time_ns = 1'000'000'000;
    header.crc32c = SpoolHeaderCrc(header);
    const std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    const std::string whole = bytes + data;
    ASSERT_EQ(pwrite(fd_.get(), whole.data(), whole.size(), static_cast<off_t>(committed.load())),
              static_cast<ssize_t>(whole.size()));
    committed += whole.size();
  }
  void Text(const std::string& text) { Write(SpoolRecordType::kStdout, 1, text); }
  void EndStreams() {
    Write(SpoolRecordType::kEnd, 1, "");
    Write(SpoolRecordType::kEnd, 2, "");
  }

  LogShipper::Spool Spool(const std::string& id) {
    return {.container_id = id,
            .fd = UniqueFd(open(path_.c_str(), O_RDONLY | O_CLOEXEC)),
            .committed = [this] { return committed.load(); },
            .on_acked = [this](uint64_t offset) { acked = offset; }};
  }

  std::atomic<uint64_t> committed = 0;
  std::atomic<uint64_t> acked = 0;

 private:
  const std::string path_;
  UniqueFd fd_;
};

class LogShipperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/slipway_shipper_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    StartServer();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void StartServer() {
    auto server =
        RpcServer::Start({.listeners = {{.path = dir_ + "/log.sock"}}}, {&log_}, metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<LogShipper> NewShipper() {
    return std::make_unique<LogShipper>(
        NewChannel(dir_ + "/log.sock"), "host",
        *shipper_metrics_.emplace_back(std::make_unique<Metrics>())->registry());
  }
  absl::Status Flush(LogShipper& shipper, SpoolFile& file, const std::string& id) {
    return shipper.Flush(id, file.committed, absl::Now() + absl::Seconds(10));
  }
  std::string TextOf(const std::string& id) {
    absl::MutexLock lock(&log_.mu);
    return log_.text[id];
  }

  std::string dir_;
  Metrics metrics_;
  std::vector<std::unique_ptr<Metrics>> shipper_metrics_;
  FakeLog log_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(LogShipperTest, ShipsInOrderAndTellsTheEnd) {
  SpoolFile file(dir_ + "/a");
  auto shipper = NewShipper();
  file.Text("one ");
  shipper->Add(file.Spool("a"));
  file.Text("two");
  shipper->Poke();
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "one two");
  EXPECT_EQ(file.acked, file.committed);
  file.EndStreams();
  ASSERT_TRUE(Flush(*shipper, file, "a").ok()) << "waiting ends of streams do not count";
  EXPECT_EQ(TextOf("a"), "one two");
  shipper->EndOfRun("a", file.committed);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (file.acked != file.committed && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(TextOf("a"), "one two<end>");
}

TEST_F(LogShipperTest, SecondRunGoesOnBehindTheFirst) {
  SpoolFile file(dir_ + "/a");
  auto shipper = NewShipper();
  shipper->Add(file.Spool("a"));
  file.Text("first");
  file.EndStreams();
  shipper->EndOfRun("a", file.committed);
  file.Text("second");
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "first<end>second");
}

TEST_F(LogShipperTest, BrokenStreamsLoseAndRepeatNothing) {
  SpoolFile file(dir_ + "/a");
  auto shipper = NewShipper();
  shipper->Add(file.Spool("a"));
  std::string expected;
  for (int round = 0; round < 5; ++round) {
    {
      absl::MutexLock lock(&log_.mu);
      log_.batches_until_failure = 2;
    }
    for (int i = 0; i < 3000; ++i) {
      const std::string line = absl::StrCat("line ", round, " ", i, "\n");
      expected += line;
      file.Text(line);
    }
    shipper->Poke();
    ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  }
  EXPECT_EQ(TextOf("a"), expected);
}

TEST_F(LogShipperTest, ServiceThatIsAwayIsWaitedFor) {
  server_->Shutdown(absl::ZeroDuration());
  SpoolFile file(dir_ + "/a");
  auto shipper = NewShipper();
  file.Text("kept");
  shipper->Add(file.Spool("a"));
  EXPECT_EQ(shipper->Flush("a", file.committed, absl::Now() + absl::Milliseconds(50)).code(),
            absl::StatusCode::kDeadlineExceeded);
  StartServer();
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "kept");
}

TEST_F(LogShipperTest, AnotherShipperGoesOnWhereTheFirstStopped) {
  SpoolFile file(dir_ + "/a");
  {
    auto shipper = NewShipper();
    shipper->Add(file.Spool("a"));
    file.Text("one ");
    shipper->Poke();
    ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  }
  file.Text("two");
  auto shipper = NewShipper();
  shipper->Add(file.Spool("a"));
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "one two");
}

TEST_F(LogShipperTest, BigRecordsAndManyContainers) {
  std::vector<std::unique_ptr<SpoolFile>> files;
  auto shipper = NewShipper();
  for (int i = 0; i < 20; ++i) {
    files.push_back(std::make_unique<SpoolFile>(absl::StrCat(dir_, "/", i)));
    shipper->Add(files.back()->Spool(absl::StrCat(i)));
    for (int j = 0; j < 5; ++j)
      files.back()->Text(std::string(1 << 20, static_cast<char>('a' + j)));
  }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Flush(*shipper, *files[i], absl::StrCat(i)).ok());
    EXPECT_EQ(TextOf(absl::StrCat(i)).size(), 5u << 20);
  }
}

TEST_F(LogShipperTest, UnknownContainerAndDeletion) {
  auto shipper = NewShipper();
  EXPECT_EQ(shipper->Flush("none", 1, absl::Now()).code(), absl::StatusCode::kNotFound);
  shipper->Delete("gone");
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (absl::Now() < deadline) {
    absl::MutexLock lock(&log_.mu);
    if (log_.deleted == "gone") break;
  }
  absl::MutexLock lock(&log_.mu);
  EXPECT_EQ(log_.deleted, "gone");
}

TEST_F(LogShipperTest, DamageCostsWhatIsDamagedAndIsTold) {
  SpoolFile file(dir_ + "/a");
  file.Text("good");
  const uint64_t good = file.committed;
  file.committed += 100;  // a hole: no record
  ASSERT_EQ(truncate((dir_ + "/a").c_str(), static_cast<off_t>(file.committed.load())), 0);
  auto shipper = NewShipper();
  shipper->Add(file.Spool("a"));
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "good");
  EXPECT_GT(file.acked, good);
  file.Text("after");
  shipper->Poke();
  ASSERT_TRUE(Flush(*shipper, file, "a").ok());
  EXPECT_EQ(TextOf("a"), "goodafter");
}

}  // namespace
}  // namespace slipway::agent
