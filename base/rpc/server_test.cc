#include "base/rpc/server.h"

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/rpc/channel.h"
#include "base/rpc/request_id.h"
#include "base/rpc/status_conversion.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway {
namespace {

class Logs : public log::v1::LogService::Service {
 public:
  grpc::Status GetLogPosition(grpc::ServerContext* context,
                              const log::v1::GetLogPositionRequest* request,
                              log::v1::GetLogPositionResponse* response) override {
    last_request_id = RequestIdOf(*context);
    if (request->container_id() == "none") {
      return ToGrpc(absl::NotFoundError("container none: no log"));
    }
    response->set_acknowledged_offset_bytes(7);
    return grpc::Status::OK;
  }
  std::string last_request_id;
};

TEST(RpcServerTest, ServesCountsAndNamesErrors) {
  const std::string path = absl::StrCat("/tmp/slipway_rpc_", getpid(), ".sock");
  Metrics metrics;
  Logs logs;
  auto server = RpcServer::Start({.listeners = {{.path = path, .mode = 0640}}}, {&logs}, metrics);
  ASSERT_TRUE(server.ok()) << server.status();
  struct stat st;
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0640u);

  auto stub = log::v1::LogService::NewStub(NewChannel(path));
  {
    grpc::ClientContext context;
    SetRequestId(context, "req-1");
    log::v1::GetLogPositionRequest request;
    log::v1::GetLogPositionResponse response;
    request.set_container_id("abc");
    const grpc::Status status = stub->GetLogPosition(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.acknowledged_offset_bytes(), 7u);
    EXPECT_EQ(logs.last_request_id, "req-1");
  }
  {
    grpc::ClientContext context;
    log::v1::GetLogPositionRequest request;
    log::v1::GetLogPositionResponse response;
    request.set_container_id("none");
    const absl::Status status = FromGrpc(stub->GetLogPosition(&context, request, &response));
    EXPECT_EQ(status, absl::NotFoundError("container none: no log"));
  }
  const std::string text = metrics.Text();
  EXPECT_NE(text.find("grpc_server_handled_total{grpc_code=\"NotFound\",grpc_method="
                      "\"GetLogPosition\",grpc_service=\"slipway.log.v1.LogService\","
                      "grpc_type=\"unary\"} 1"),
            std::string::npos)
      << text;
  (*server)->Shutdown(absl::Seconds(1));
  unlink(path.c_str());
}

TEST(RpcServerTest, TooLongSocketPathIsRefused) {
  Metrics metrics;
  Logs logs;
  const auto server = RpcServer::Start({.listeners = {{.path = "/tmp/" + std::string(200, 'x')}}},
                                       {&logs}, metrics);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

class CallbackTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = absl::StrCat("/tmp/slipway_rpc_", getpid(), ".sock");
    auto server = RpcServer::Start({.listeners = {{.path = path}}}, {&logs_}, metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = log::v1::LogService::NewStub(NewChannel(path));
  }

  Metrics metrics_;
  Logs logs_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<log::v1::LogService::Stub> stub_;
};

// gRPC's own threads for callbacks would sleep between 1.0 and 1.1 s of silence.
TEST_F(CallbackTest, AnswersAtOnceAfterAPause) {
  std::vector<absl::Duration> took;
  for (int i = 0; i < 6; ++i) {
    absl::SleepFor(absl::Milliseconds(1005));
    grpc::ClientContext context;
    log::v1::GetLogPositionRequest request;
    log::v1::GetLogPositionResponse response;
    absl::Notification answered;
    const absl::Time begin = absl::Now();
    stub_->async()->GetLogPosition(&context, &request, &response,
                                   [&](const grpc::Status&) { answered.Notify(); });
    answered.WaitForNotification();
    took.push_back(absl::Now() - begin);
  }
  std::sort(took.begin(), took.end());
  // One may have met a busy machine.
  EXPECT_LT(took[3], absl::Milliseconds(40));
}

// A callback that waits for another one's end would wait for ever where only one thread runs them.
TEST_F(CallbackTest, OneThatBlocksIsHelpedOut) {
  struct Call {
    grpc::ClientContext context;
    log::v1::GetLogPositionRequest request;
    log::v1::GetLogPositionResponse response;
  } first, second;
  absl::Notification second_answered;
  absl::Notification first_left;
  bool helped = false;
  stub_->async()->GetLogPosition(
      &first.context, &first.request, &first.response, [&](const grpc::Status&) {
        stub_->async()->GetLogPosition(&second.context, &second.request, &second.response,
                                       [&](const grpc::Status&) { second_answered.Notify(); });
        helped = second_answered.WaitForNotificationWithTimeout(absl::Seconds(20));
        first_left.Notify();
      });
  first_left.WaitForNotification();
  second_answered.WaitForNotification();
  EXPECT_TRUE(helped);
}

}  // namespace
}  // namespace slipway
