#include "services/log/server.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/os/file.h"
#include "base/rpc/channel.h"
#include "services/log/testing/log_fixture.h"
#include "slipway/log/v1/log.grpc.pb.h"

extern char** environ;

namespace slipway::log {
namespace {

using Stub = v1::LogService::Stub;

const std::string kId(64, 'a');

v1::AppendLogRequest Request(uint64_t begin, uint64_t end) {
  v1::AppendLogRequest request;
  request.set_container_id(kId);
  request.set_host_id("host");
  request.set_begin_offset_bytes(begin);
  request.set_end_offset_bytes(end);
  return request;
}

void AddChunk(v1::AppendLogRequest& request, const std::string& data, int64_t time = 1) {
  v1::LogRecord* record = request.add_records();
  record->set_time_unix_ns(time);
  record->mutable_chunk()->set_stream(common::v1::STD_STREAM_STDOUT);
  record->mutable_chunk()->set_data(data);
}

v1::ReadLogRequest ReadAll(bool follow) {
  v1::ReadLogRequest request;
  request.set_container_id(kId);
  request.set_stdout(true);
  request.set_stderr(true);
  request.set_tail_lines(-1);
  request.set_follow(follow);
  request.set_cut(v1::ReadLogRequest::CUT_CHUNKS);
  return request;
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() : socket_(directory_.path() + "/s") {}

  void Start() {
    server_.reset();
    auto server = Server::Start({.root = directory_.path() + "/log", .socket = socket_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::LogService::NewStub(NewChannel(socket_));
  }

  // One call with one request. The acknowledged offset.
  uint64_t Append(const v1::AppendLogRequest& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    const auto stream = stub_->AppendLog(&context);
    v1::AppendLogResponse response;
    EXPECT_TRUE(stream->Write(request));
    const bool answered = stream->Read(&response);
    stream->WritesDone();
    if (answered) {
      EXPECT_FALSE(stream->Read(&response));
    }
    last_ = stream->Finish();
    return answered ? response.acknowledged_offset_bytes() : 0;
  }

  void AppendText(const std::string& data) {
    v1::AppendLogRequest request = Request(next_, next_ + data.size() + 24);
    next_ = request.end_offset_bytes();
    AddChunk(request, data);
    ASSERT_EQ(Append(request), next_) << last_.error_message();
  }

  void AppendEnd() {
    v1::AppendLogRequest request = Request(next_, next_ + 24);
    next_ = request.end_offset_bytes();
    request.add_records()->mutable_end();
    ASSERT_EQ(Append(request), next_) << last_.error_message();
  }

  std::string Read(const v1::ReadLogRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub_->ReadLog(&context, request);
    std::string all;
    v1::ReadLogResponse response;
    while (reader->Read(&response)) {
      for (const auto& entry : response.entries()) all += entry.data();
    }
    last_ = reader->Finish();
    return all;
  }

  TemporaryDirectory directory_;
  const std::string socket_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Stub> stub_;
  grpc::Status last_;
  uint64_t next_ = 0;
};

TEST_F(ServerTest, LimitsThatMakeNoSenseAreRefused) {
  const auto server =
      Server::Start({.root = directory_.path(), .socket = socket_, .max_segment_bytes = 1});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, BadRequestsNameWhatIsWrong) {
  Start();
  v1::AppendLogRequest request = Request(0, 10);
  request.set_container_id("../x");
  Append(request);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(last_.error_message().find("../x"), std::string::npos);
  request = Request(0, 10);
  request.add_records();
  Append(request);
  EXPECT_EQ(last_.error_message(), "records[0]: kind is not set");
  request = Request(10, 5);
  Append(request);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request = Request(5, 5);
  AddChunk(request, "x");
  Append(request);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Read(ReadAll(false));
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(last_.error_message().find(kId), std::string::npos);
  v1::ReadLogRequest none = ReadAll(false);
  AppendText("x");
  none.set_stdout(false);
  none.set_stderr(false);
  Read(none);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, UnaryCalls) {
  Start();
  AppendText("hello\n");
  grpc::ClientContext position_context, stats_context, delete_context, again_context;
  v1::GetLogPositionRequest position;
  position.set_container_id(kId);
  v1::GetLogPositionResponse at;
  ASSERT_TRUE(stub_->GetLogPosition(&position_context, position, &at).ok());
  EXPECT_EQ(at.acknowledged_offset_bytes(), next_);
  v1::GetLogStatsRequest stats_request;
  stats_request.set_container_id(kId);
  v1::GetLogStatsResponse stats;
  ASSERT_TRUE(stub_->GetLogStats(&stats_context, stats_request, &stats).ok());
  EXPECT_EQ(stats.stdout_bytes(), 6u);
  v1::DeleteLogRequest deletion;
  deletion.set_container_id(kId);
  v1::DeleteLogResponse deleted;
  EXPECT_TRUE(stub_->DeleteLog(&delete_context, deletion, &deleted).ok());
  EXPECT_TRUE(stub_->DeleteLog(&again_context, deletion, &deleted).ok());
  Read(ReadAll(false));
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ReconnectsAndRestartsStoreEachBatchOnce) {
  std::string expected;
  uint64_t at = 0;
  for (int round = 0; round < 5; ++round) {
    Start();
    grpc::ClientContext context;
    const auto stream = stub_->AppendLog(&context);
    // The last two of the round before are shipped again.
    for (int i = std::max(0, round * 10 - 2); i < (round + 1) * 10; ++i) {
      const std::string line = absl::StrCat("line ", i, "\n");
      v1::AppendLogRequest request = Request(i * 50, i * 50 + 50);
      AddChunk(request, line);
      ASSERT_TRUE(stream->Write(request));
      v1::AppendLogResponse response;
      ASSERT_TRUE(stream->Read(&response));
      at = std::max<uint64_t>(at, i * 50 + 50);
      ASSERT_EQ(response.acknowledged_offset_bytes(), at);
      ASSERT_EQ(response.container_id(), kId);
      if (i >= round * 10) expected += line;
    }
    context.TryCancel();
    stream->Finish();
  }
  EXPECT_EQ(Read(ReadAll(false)), expected);
}

TEST_F(ServerTest, FollowGoesOnThroughARestartAndEndsAtTheLastEnd) {
  Start();
  // Empty: the container is known, and following it waits.
  EXPECT_EQ(Append(Request(0, 0)), 0u);
  std::atomic<size_t> seen{0};
  std::string first;
  std::thread follower([&] {
    grpc::ClientContext context;
    const auto reader = stub_->ReadLog(&context, ReadAll(true));
    v1::ReadLogResponse response;
    while (reader->Read(&response)) {
      for (const auto& entry : response.entries()) {
        first += entry.data();
        seen += entry.data().size();
      }
    }
    EXPECT_TRUE(reader->Finish().ok());
  });
  AppendText("run one\n");
  while (seen < 8) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  // An end that is not the last record when the reader sees it does not end the reading.
  v1::AppendLogRequest both = Request(next_, next_ + 100);
  next_ += 100;
  both.add_records()->mutable_end();
  AddChunk(both, "run two\n");
  ASSERT_EQ(Append(both), next_);
  while (seen < 16) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  AppendText("more\n");
  AppendEnd();
  follower.join();
  EXPECT_EQ(first, "run one\nrun two\nmore\n");
  // It has ended: following again does not wait.
  EXPECT_EQ(Read(ReadAll(true)), first);
}

TEST_F(ServerTest, FollowWithUntilEndsWhenTheTimeHasPassed) {
  Start();
  AppendText("quiet\n");
  v1::ReadLogRequest request = ReadAll(true);
  request.set_until_unix_ns(absl::GetCurrentTimeNanos() + 300'000'000);
  const absl::Time begin = absl::Now();
  EXPECT_EQ(Read(request), "quiet\n");
  EXPECT_TRUE(last_.ok());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(ServerTest, DeletingEndsReaders) {
  Start();
  for (int i = 0; i < 40; ++i) AppendText(std::string(1 << 20, 'd'));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ReadLogResponse>>> readers;
  for (int i = 0; i < 8; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub_->ReadLog(contexts.back().get(), ReadAll(i % 2 == 0)));
    v1::ReadLogResponse response;
    ASSERT_TRUE(readers.back()->Read(&response));
  }
  grpc::ClientContext context;
  v1::DeleteLogRequest request;
  request.set_container_id(kId);
  v1::DeleteLogResponse deleted;
  ASSERT_TRUE(stub_->DeleteLog(&context, request, &deleted).ok());
  for (auto& reader : readers) {
    v1::ReadLogResponse response;
    while (reader->Read(&response)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
}

// The service as a process of its own, so that it can be killed and its memory seen.
class Process {
 public:
  Process(const std::string& root, const std::string& socket) {
    const std::string root_flag = "--root=" + root, socket_flag = "--socket=" + socket;
    const char* argv[] = {"services/log/slipway-log", root_flag.c_str(), socket_flag.c_str(),
                          "--metrics-address=", nullptr};
    EXPECT_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, const_cast<char**>(argv), environ), 0);
  }
  ~Process() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // VmHWM, the most that was ever resident.
  uint64_t PeakKilobytes() const {
    const auto status = ReadFile(absl::StrCat("/proc/", pid_, "/status"));
    for (const absl::string_view line : absl::StrSplit(*status, '\n')) {
      uint64_t value = 0;
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() >= 2 && words[0].substr(0, 6) == "VmHWM:" &&
          absl::SimpleAtoi(words[words.size() - 2], &value)) {
        return value;
      }
    }
    return 0;
  }

 private:
  pid_t pid_ = 0;
};

TEST_F(ServerTest, KilledWhileAppendingNothingIsLostOrDoubled) {
  const std::string root = directory_.path() + "/log";
  auto process = std::make_unique<Process>(root, socket_);
  stub_ = v1::LogService::NewStub(NewChannel(socket_));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> acknowledged{0};
  // As an agent does: ask where to go on, ship, and again after each failure.
  std::thread agent([&] {
    while (!stop) {
      grpc::ClientContext ask;
      ask.set_wait_for_ready(true);
      v1::GetLogPositionRequest request;
      request.set_container_id(kId);
      v1::GetLogPositionResponse position;
      const grpc::Status asked = stub_->GetLogPosition(&ask, request, &position);
      if (!asked.ok() && asked.error_code() != grpc::StatusCode::NOT_FOUND) continue;
      grpc::ClientContext context;
      const auto stream = stub_->AppendLog(&context);
      uint64_t at = position.acknowledged_offset_bytes();
      EXPECT_GE(at, acknowledged.load());
      v1::AppendLogResponse response;
      while (!stop) {
        v1::AppendLogRequest batch = Request(at, at + 20);
        for (uint64_t i = 0; i < 20; ++i) AddChunk(batch, absl::StrCat(at + i, "\n"));
        if (!stream->Write(batch) || !stream->Read(&response)) break;
        at = response.acknowledged_offset_bytes();
        acknowledged = at;
      }
      context.TryCancel();
      stream->Finish();
    }
  });
  for (int round = 0; round < 6; ++round) {
    const uint64_t goal = acknowledged + 3'000;
    while (acknowledged < goal) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process->Kill();
    process = std::make_unique<Process>(root, socket_);
  }
  stop = true;
  agent.join();
  uint64_t expected = 0;
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const auto reader = stub_->ReadLog(&context, ReadAll(false));
  v1::ReadLogResponse response;
  while (reader->Read(&response)) {
    for (const auto& entry : response.entries()) {
      ASSERT_EQ(entry.data(), absl::StrCat(expected++, "\n"));
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_GE(expected, acknowledged.load());
}

TEST_F(ServerTest, SelectionSearchCursorsCountsAndTruncation) {
  Start();
  v1::AppendLogRequest request = Request(0, 100);
  request.mutable_description()->set_name("web");
  request.mutable_description()->set_image("nginx");
  (*request.mutable_description()->mutable_labels())["tier"] = "front";
  AddChunk(request, "GET /\nPOST /x\nGET /y\n", 5);
  ASSERT_EQ(Append(request), 100u);
  v1::ReadLogRequest read = ReadAll(false);
  read.clear_container_id();
  read.mutable_selector()->add_labels("tier=front");
  EXPECT_EQ(Read(read), "GET /\nPOST /x\nGET /y\n");
  read.mutable_search()->set_regex("^GET /.");
  EXPECT_EQ(Read(read), "GET /y\n");
  read.mutable_search()->set_regex("(");
  Read(read);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(last_.error_message().find("missing )"), std::string::npos);
  read.clear_search();
  read.mutable_selector()->Clear();
  Read(read);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  // A line at a time, each call going on where the last one was.
  read.mutable_selector()->set_all(true);
  read.set_with_cursors(true);
  read.set_limit(1);
  std::string all;
  for (int i = 0; i < 4; ++i) {
    grpc::ClientContext context;
    const auto reader = stub_->ReadLog(&context, read);
    v1::ReadLogResponse response;
    while (reader->Read(&response)) {
      ASSERT_EQ(response.entries_size(), 1);
      EXPECT_EQ(response.entries(0).container_id(), kId);
      all += response.entries(0).data();
      read.set_cursor(response.cursor());
    }
    ASSERT_TRUE(reader->Finish().ok());
  }
  EXPECT_EQ(all, "GET /\nPOST /x\nGET /y\n");
  read.set_cursor("nonsense");
  Read(read);
  EXPECT_EQ(last_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  const auto call = [&](auto method, const auto& wanted, auto& response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, wanted, &response);
  };
  v1::CountLogRequest count;
  count.mutable_selector()->add_containers("web");
  count.set_stdout(true);
  count.mutable_search()->set_substring("GET");
  v1::CountLogResponse counted;
  ASSERT_TRUE(call(&Stub::CountLog, count, counted).ok());
  ASSERT_EQ(counted.counts_size(), 1);
  EXPECT_EQ(counted.counts(0).lines(), 2u);
  v1::ListLogsRequest list;
  list.mutable_selector()->add_images("nginx:latest");
  v1::ListLogsResponse listed;
  ASSERT_TRUE(call(&Stub::ListLogs, list, listed).ok());
  ASSERT_EQ(listed.logs_size(), 1);
  EXPECT_EQ(listed.logs(0).description().name(), "web");
  v1::TruncateLogRequest truncate;
  truncate.mutable_selector()->add_containers(kId.substr(0, 8));
  v1::TruncateLogResponse truncated;
  ASSERT_TRUE(call(&Stub::TruncateLog, truncate, truncated).ok());
  EXPECT_GT(truncated.deleted_bytes(), 0u);
  EXPECT_EQ(Read(ReadAll(false)), "");
  v1::GetLogStatsRequest stats;
  stats.set_container_id(kId);
  v1::GetLogStatsResponse told;
  ASSERT_TRUE(call(&Stub::GetLogStats, stats, told).ok());
  EXPECT_EQ(told.streams(0).bytes(), 21u);
  EXPECT_EQ(told.streams(0).lines(), 0u);
}

TEST_F(ServerTest, TenThousandFollowersThatDoNotReadCostLittleAndDelayNobody) {
  const Process process(directory_.path() + "/log", socket_);
  stub_ = v1::LogService::NewStub(NewChannel(socket_));
  AppendText(std::string(1 << 20, 'x') + "\n");
  std::printf("peak before %lu kB\n", process.PeakKilobytes());
  // Followers are another client, the gateway, with a connection of its own.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto gateway = v1::LogService::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket_), grpc::InsecureChannelCredentials(), arguments));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ReadLogResponse>>> readers;
  // Those above the limit are refused.
  for (int i = 0; i < 10'000; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    v1::ReadLogRequest request = ReadAll(true);
    if (i % 2 == 0) request.set_cut(v1::ReadLogRequest::CUT_LINES);
    readers.push_back(gateway->ReadLog(contexts.back().get(), request));
  }
  absl::Duration slowest;
  for (int i = 0; i < 60; ++i) {
    const absl::Time begin = absl::Now();
    AppendText(std::string(256 << 10, 'y') + "\n");
    slowest = std::max(slowest, absl::Now() - begin);
  }
  const uint64_t peak = process.PeakKilobytes();
  RecordProperty("peak_kilobytes", static_cast<int>(peak));
  RecordProperty("slowest_append_ms", static_cast<int>(absl::ToInt64Milliseconds(slowest)));
  std::printf("peak %lu kB, slowest append %.1f ms\n", peak, absl::ToDoubleMilliseconds(slowest));
  EXPECT_LT(peak, 64u << 10);
  EXPECT_LT(slowest, absl::Seconds(2));
  // One more is told so.
  grpc::ClientContext context;
  const auto refused = stub_->ReadLog(&context, ReadAll(true));
  v1::ReadLogResponse response;
  EXPECT_FALSE(refused->Read(&response));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (auto& each : contexts) each->TryCancel();
  for (auto& reader : readers) reader->Finish();
  // One that does read has everything, as soon as the others are gone.
  AppendEnd();
  std::string all;
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (all.empty() && absl::Now() < deadline) all = Read(ReadAll(true));
  EXPECT_EQ(all.size(), (1u << 20) + 1 + 60 * ((256u << 10) + 1));
}

}  // namespace
}  // namespace slipway::log
