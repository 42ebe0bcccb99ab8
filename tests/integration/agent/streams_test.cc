// Attach and exec: bytes between clients and processes.
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

using testing::HasSubstr;

// A client of AttachContainer or AttachExec.
class Attached {
 public:
  enum class Kind { kContainer, kExec };

  Attached(Host& host, Kind kind, const std::string& id, bool input) : stub_(host.streams()) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context_.set_wait_for_ready(true);
    stream_ =
        kind == Kind::kContainer ? stub_->AttachContainer(&context_) : stub_->AttachExec(&context_);
    v1::AttachRequest request;
    request.mutable_start()->set_id(id);
    request.mutable_start()->set_stdin(input);
    request.mutable_start()->set_stdout(true);
    request.mutable_start()->set_stderr(true);
    stream_->Write(request);
    v1::AttachResponse response;
    ready_ = stream_->Read(&response) && response.has_ready();
    tty_ = response.ready().tty();
  }

  void Send(const std::string& data) {
    v1::AttachRequest request;
    request.set_stdin(data);
    stream_->Write(request);
  }
  void CloseInput() {
    v1::AttachRequest request;
    request.set_close_stdin(true);
    stream_->Write(request);
  }
  void Resize(uint32_t rows, uint32_t columns) {
    v1::AttachRequest request;
    request.mutable_resize()->set_rows(rows);
    request.mutable_resize()->set_columns(columns);
    stream_->Write(request);
  }
  // Reads until the output contains `text`.
  void Expect(const std::string& text) {
    v1::AttachResponse response;
    while (out_.find(text) == std::string::npos) {
      if (!stream_->Read(&response) || !Take(response)) break;
    }
    EXPECT_THAT(out_, HasSubstr(text));
  }
  // Reads to the end; the exit code, -1 when the stream ended without one.
  int Finish() {
    v1::AttachResponse response;
    while (stream_->Read(&response)) Take(response);
    status_ = stream_->Finish();
    return exit_code_;
  }
  void Cancel() {
    context_.TryCancel();
    status_ = stream_->Finish();
  }

  bool ready() const { return ready_; }
  bool tty() const { return tty_; }
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  const grpc::Status& status() const { return status_; }

 private:
  bool Take(const v1::AttachResponse& response) {
    if (response.has_end()) {
      exit_code_ = response.end().exit_code();
      return false;
    }
    const bool error = response.output().stream() == common::v1::STD_STREAM_STDERR;
    (error ? err_ : out_) += response.output().data();
    return true;
  }

  grpc::ClientContext context_;
  std::unique_ptr<v1::StreamService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>> stream_;
  bool ready_ = false;
  bool tty_ = false;
  int exit_code_ = -1;
  std::string out_;
  std::string err_;
  grpc::Status status_;
};

class StreamsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { host_ = new Host; }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  // A running container that sleeps.
  std::string Sleeper() {
    const auto request = host_->Request({"sleep", "1000"});
    EXPECT_TRUE(host_->Prepare(request).ok());
    EXPECT_TRUE(host_->Start(request.container_id()).ok());
    return request.container_id();
  }
  v1::StartExecRequest Exec(const std::string& container, const std::vector<std::string>& argv) {
    v1::StartExecRequest request;
    request.set_exec_id(Host::NewId());
    request.set_container_id(container);
    for (const std::string& argument : argv) request.mutable_spec()->add_command(argument);
    request.mutable_spec()->set_attach_stdout(true);
    request.mutable_spec()->set_attach_stderr(true);
    return request;
  }
  static Host* host_;
};

Host* StreamsTest::host_ = nullptr;

TEST_F(StreamsTest, UnknownIds) {
  Attached container(*host_, Attached::Kind::kContainer, Host::NewId(), false);
  container.Finish();
  EXPECT_EQ(container.status().error_code(), grpc::StatusCode::NOT_FOUND);
  Attached exec(*host_, Attached::Kind::kExec, Host::NewId(), false);
  exec.Finish();
  EXPECT_EQ(exec.status().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(StreamsTest, AttachBeforeTheStartSeesEverything) {
  const auto request = host_->Request({"sh", "-c", "echo out; echo err >&2; exit 7"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_->Prepare(request).ok());
  for (int run = 0; run < 2; ++run) {
    Attached attached(*host_, Attached::Kind::kContainer, id, false);
    ASSERT_TRUE(attached.ready());
    ASSERT_TRUE(host_->Start(id).ok());
    EXPECT_EQ(attached.Finish(), 7);
    EXPECT_EQ(attached.out(), "out\n");
    EXPECT_EQ(attached.err(), "err\n");
    EXPECT_TRUE(attached.status().ok()) << attached.status().error_message();
    host_->AwaitExit(id);
  }
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, StandardInputThroughAttach) {
  auto request = host_->Request({"sh", "-c", "wc -c; echo after"});
  request.mutable_spec()->set_open_stdin(true);
  request.mutable_spec()->set_stdin_once(true);
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_->Prepare(request).ok());
  Attached attached(*host_, Attached::Kind::kContainer, id, true);
  attached.Send("early ");  // waits for the start
  ASSERT_TRUE(host_->Start(id).ok());
  const std::string block(100000, 'x');
  for (int i = 0; i < 20; ++i) attached.Send(block);
  attached.CloseInput();
  EXPECT_EQ(attached.Finish(), 0);
  EXPECT_EQ(attached.out(), "2000006\nafter\n");
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, AProcessThatDoesNotReadBlocksNobody) {
  auto request = host_->Request({"sh", "-c", "sleep 0.5; head -c 5 >/dev/null; echo read"});
  request.mutable_spec()->set_open_stdin(true);
  request.mutable_spec()->set_stdin_once(true);
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_->Prepare(request).ok());
  Attached attached(*host_, Attached::Kind::kContainer, id, true);
  ASSERT_TRUE(host_->Start(id).ok());
  std::thread sender([&] {
    for (int i = 0; i < 20; ++i) attached.Send(std::string(100000, 'x'));
  });
  EXPECT_EQ(host_->Run(host_->Request({"true"})).exit_code(), 0);
  EXPECT_EQ(attached.Finish(), 0);
  sender.join();
  EXPECT_EQ(attached.out(), "read\n");
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, StdinEndsWithItsOnlyClient) {
  auto request = host_->Request({"cat"});
  request.mutable_spec()->set_open_stdin(true);
  request.mutable_spec()->set_stdin_once(true);
  ASSERT_TRUE(host_->Prepare(request).ok());
  Attached attached(*host_, Attached::Kind::kContainer, request.container_id(), true);
  ASSERT_TRUE(host_->Start(request.container_id()).ok());
  attached.Send("ping\n");
  attached.Expect("ping");
  attached.Cancel();
  EXPECT_EQ(host_->AwaitExit(request.container_id()).exit_code(), 0);
  EXPECT_TRUE(host_->Remove(request.container_id()).ok());
}

TEST_F(StreamsTest, Terminal) {
  auto request = host_->Request({"sh"});
  request.mutable_spec()->set_tty(true);
  request.mutable_spec()->set_open_stdin(true);
  request.mutable_spec()->set_stdin_once(true);
  request.mutable_spec()->mutable_terminal_size()->set_rows(20);
  request.mutable_spec()->mutable_terminal_size()->set_columns(70);
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_->Prepare(request).ok());
  Attached attached(*host_, Attached::Kind::kContainer, id, true);
  EXPECT_TRUE(attached.tty());
  ASSERT_TRUE(host_->Start(id).ok());
  attached.Send("stty size; tty; echo $TERM\n");
  attached.Expect("20 70\r\n/dev/pts/0\r\nxterm\r\n");
  attached.Resize(33, 111);
  attached.Send("stty size\n");
  attached.Expect("33 111\r\n");
  {
    grpc::ClientContext context;
    v1::ResizeTerminalRequest resize;
    resize.set_id(id);
    resize.mutable_size()->set_rows(10);
    resize.mutable_size()->set_columns(30);
    v1::ResizeTerminalResponse response;
    EXPECT_TRUE(host_->streams()->ResizeTerminal(&context, resize, &response).ok());
  }
  attached.Send("stty size\n");
  attached.Expect("10 30\r\n");
  attached.Send("exit 5\n");
  EXPECT_EQ(attached.Finish(), 5);
  EXPECT_THAT(host_->Log(id), HasSubstr("33 111"));
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, ManyBytesToALateClientAndTheLog) {
  const auto request = host_->Request({"sh", "-c", "sleep 0.2; seq 1 400000; echo end >&2"});
  const std::string& id = request.container_id();
  ASSERT_TRUE(host_->Prepare(request).ok());
  ASSERT_TRUE(host_->Start(id).ok());
  Attached attached(*host_, Attached::Kind::kContainer, id, false);
  EXPECT_EQ(attached.Finish(), 0);
  std::string expected;
  for (int i = 1; i <= 400000; ++i) absl::StrAppend(&expected, i, "\n");
  EXPECT_EQ(attached.out().size(), expected.size());
  EXPECT_TRUE(attached.out() == expected);
  EXPECT_TRUE(host_->Log(id, true, false) == expected);
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, ExecErrors) {
  const std::string id = Sleeper();
  grpc::Status status = host_->StartExec(Exec(id, {"no-such-command"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("exec: \"no-such-command\": executable file not found in $PATH"));
  EXPECT_THAT(host_->StartExec(Exec(id, {"/etc/group"})).error_message(),
              HasSubstr("permission denied"));
  auto request = Exec(id, {"true"});
  request.mutable_spec()->set_user("foo");
  EXPECT_THAT(host_->StartExec(request).error_message(), HasSubstr("unable to find user foo"));
  request = Exec(id, {"true"});
  request.mutable_spec()->set_working_directory("/nowhere");
  EXPECT_THAT(host_->StartExec(request).error_message(), HasSubstr("no such file or directory"));
  EXPECT_TRUE(host_->Remove(id).ok());
  host_->AwaitRemoved(id);
  EXPECT_FALSE(host_->StartExec(Exec(id, {"true"})).ok());
}

TEST_F(StreamsTest, ExecPlain) {
  const std::string id = Sleeper();
  auto request = Exec(id, {"sh", "-c", "cat; id -un; echo $A $HOME; hostname >&2; exit 9"});
  request.mutable_spec()->set_attach_stdin(true);
  request.mutable_spec()->set_user("www-data");
  request.mutable_spec()->add_env("A=b");
  ASSERT_TRUE(host_->StartExec(request).ok());
  Attached attached(*host_, Attached::Kind::kExec, request.exec_id(), true);
  EXPECT_FALSE(attached.tty());
  attached.Send("in\n");
  attached.CloseInput();
  EXPECT_EQ(attached.Finish(), 9);
  EXPECT_EQ(attached.out(), "in\nwww-data\nb /var/www\n");
  EXPECT_EQ(attached.err(), id.substr(0, 12) + "\n");
  EXPECT_EQ(host_->AwaitExec(request.exec_id()).exit_code(), 9);
  // The container's own output has nothing of it.
  EXPECT_EQ(host_->Log(id, true, true, false), "");
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, ExecTerminal) {
  const std::string id = Sleeper();
  auto request = Exec(id, {"sh"});
  request.mutable_spec()->set_tty(true);
  request.mutable_spec()->set_attach_stdin(true);
  request.mutable_terminal_size()->set_rows(21);
  request.mutable_terminal_size()->set_columns(71);
  ASSERT_TRUE(host_->StartExec(request).ok());
  Attached attached(*host_, Attached::Kind::kExec, request.exec_id(), true);
  EXPECT_TRUE(attached.tty());
  attached.Send("stty size\n");
  attached.Expect("21 71\r\n");
  attached.Resize(40, 120);
  attached.Send("stty size\n");
  attached.Expect("40 120\r\n");
  attached.Send("exit 4\n");
  EXPECT_EQ(attached.Finish(), 4);
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, ExecLeavesBackgroundProcesses) {
  const std::string id = Sleeper();
  const auto request = Exec(id, {"sh", "-c", "sleep 100 & echo started"});
  ASSERT_TRUE(host_->StartExec(request).ok());
  Attached attached(*host_, Attached::Kind::kExec, request.exec_id(), false);
  EXPECT_EQ(attached.Finish(), 0);
  EXPECT_EQ(attached.out(), "started\n");
  EXPECT_TRUE(host_->Remove(id).ok());
}

TEST_F(StreamsTest, ExecDetachedAndManyBytes) {
  const std::string id = Sleeper();
  auto request = Exec(id, {"sh", "-c", "seq 1 200000; exit 3"});
  request.set_detach(true);
  ASSERT_TRUE(host_->StartExec(request).ok());
  EXPECT_EQ(host_->AwaitExec(request.exec_id()).exit_code(), 3);
  request = Exec(id, {"seq", "1", "200000"});
  ASSERT_TRUE(host_->StartExec(request).ok());
  Attached attached(*host_, Attached::Kind::kExec, request.exec_id(), false);
  EXPECT_EQ(attached.Finish(), 0);
  std::string expected;
  for (int i = 1; i <= 200000; ++i) absl::StrAppend(&expected, i, "\n");
  EXPECT_TRUE(attached.out() == expected);
  Attached second(*host_, Attached::Kind::kExec, request.exec_id(), false);
  second.Finish();
  EXPECT_EQ(second.status().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(host_->Remove(id).ok());
}

}  // namespace
}  // namespace slipway::agent
