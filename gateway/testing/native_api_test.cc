#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/rpc/channel.h"
#include "gateway/testing/gateway_fixture.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/container/v1/container.grpc.pb.h"
#include "slipway/image/v1/image.grpc.pb.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::gateway {
namespace {

class NativeApiTest : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    channel_ = NewChannel(native_socket());
    images_ = slipway::image::v1::ImageService::NewStub(channel_);
    containers_ = slipway::container::v1::ContainerService::NewStub(channel_);
  }

  std::string Start(const std::vector<std::string>& command, bool open_stdin = false) {
    grpc::ClientContext context;
    slipway::container::v1::CreateContainerRequest create;
    create.mutable_spec()->set_image("known");
    create.mutable_spec()->set_open_stdin(open_stdin);
    for (const std::string& word : command) create.mutable_spec()->add_command(word);
    slipway::container::v1::CreateContainerResponse created;
    EXPECT_TRUE(containers_->CreateContainer(&context, create, &created).ok());
    grpc::ClientContext start_context;
    slipway::container::v1::StartContainerRequest start;
    start.set_container(created.id());
    slipway::container::v1::StartContainerResponse started;
    EXPECT_TRUE(containers_->StartContainer(&start_context, start, &started).ok());
    return created.id();
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<slipway::image::v1::ImageService::Stub> images_;
  std::unique_ptr<slipway::container::v1::ContainerService::Stub> containers_;
};

TEST_F(NativeApiTest, ErrorsGoThrough) {
  grpc::ClientContext context;
  slipway::image::v1::GetImageRequest request;
  request.set_reference("nobody");
  slipway::image::v1::GetImageResponse response;
  const grpc::Status status = images_->GetImage(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "image nobody");
}

TEST_F(NativeApiTest, MetadataGoThroughBothWays) {
  grpc::ClientContext context;
  context.AddMetadata("x-test", "forward");
  slipway::image::v1::GetImageRequest request;
  request.set_reference("known");
  slipway::image::v1::GetImageResponse response;
  const grpc::Status status = images_->GetImage(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.image().repo_tags(0), "known:latest");
  EXPECT_EQ(platform_->last_metadata(), "forward");
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-answer"), 1u);
}

TEST_F(NativeApiTest, WhatIsInternalIsDenied) {
  auto logs = slipway::log::v1::LogService::NewStub(channel_);
  grpc::ClientContext context;
  slipway::log::v1::DeleteLogRequest request;
  slipway::log::v1::DeleteLogResponse response;
  EXPECT_EQ(logs->DeleteLog(&context, request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  auto agent = slipway::agent::v1::AgentService::NewStub(channel_);
  grpc::ClientContext agent_context;
  slipway::agent::v1::GetHostResponse host;
  EXPECT_EQ(
      agent->GetHost(&agent_context, slipway::agent::v1::GetHostRequest(), &host).error_code(),
      grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(NativeApiTest, DeadlinesAndCancellationGoThrough) {
  const std::string id = Start({"sleep"});
  slipway::container::v1::WaitContainerRequest wait;
  wait.set_container(id);
  wait.set_condition(slipway::container::v1::WaitContainerRequest::CONDITION_NEXT_EXIT);
  for (const bool cancel : {false, true}) {
    grpc::ClientContext context;
    if (!cancel) context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(200)));
    auto reader = containers_->WaitContainer(&context, wait);
    slipway::container::v1::WaitContainerResponse response;
    EXPECT_TRUE(reader->Read(&response));
    EXPECT_TRUE(response.registered());
    if (cancel) context.TryCancel();
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_EQ(reader->Finish().error_code(),
              cancel ? grpc::StatusCode::CANCELLED : grpc::StatusCode::DEADLINE_EXCEEDED);
  }
}

TEST_F(NativeApiTest, BidirectionalStreamsWithMuchData) {
  const std::string id = Start({"cat"}, /*open_stdin=*/true);
  auto streams = slipway::agent::v1::StreamService::NewStub(channel_);
  grpc::ClientContext context;
  auto stream = streams->AttachContainer(&context);
  slipway::agent::v1::AttachRequest request;
  request.mutable_start()->set_id(id);
  request.mutable_start()->set_stdin(true);
  ASSERT_TRUE(stream->Write(request));
  slipway::agent::v1::AttachResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.has_ready());
  constexpr int kPieces = 200;
  const std::string piece(32 << 10, 'p');
  for (int i = 0; i < kPieces; ++i) {
    request.set_stdin(piece);
    ASSERT_TRUE(stream->Write(request));
  }
  request.set_close_stdin(true);
  stream->Write(request);
  stream->WritesDone();
  size_t bytes = 0;
  while (stream->Read(&response)) bytes += response.output().data().size();
  EXPECT_EQ(bytes, piece.size() * kPieces);
}

// The service says no before the client has sent all it wanted.
TEST_F(NativeApiTest, AServiceThatEndsEarly) {
  grpc::ClientContext context;
  auto stream = images_->LoadImage(&context);
  slipway::image::v1::LoadImageRequest request;
  request.set_data("bad" + std::string(64 << 10, 'x'));
  for (int i = 0; i < 100 && stream->Write(request); ++i) {
  }
  slipway::image::v1::LoadImageResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// Reflection's own messages have no headers to include: {list_services: "*"} by hand.
TEST_F(NativeApiTest, ReflectionListsWhatIsForwarded) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(next());
  grpc::Slice slice("\x3a\x01*");
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  ASSERT_TRUE(next());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(next());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  for (const char* service :
       {"slipway.image.v1.ImageService", "slipway.container.v1.ContainerService",
        "slipway.log.v1.LogService", "slipway.agent.v1.StreamService", "grpc.health.v1.Health"}) {
    EXPECT_TRUE(absl::StrContains(text, service)) << service;
  }
  EXPECT_FALSE(absl::StrContains(text, "AgentService"));
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(next());
}

TEST_F(NativeApiTest, ManyCallsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 200; ++i) {
        grpc::ClientContext context;
        slipway::image::v1::GetImageRequest request;
        request.set_reference("known");
        slipway::image::v1::GetImageResponse response;
        EXPECT_TRUE(images_->GetImage(&context, request, &response).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(NativeApiTest, AServiceThatIsGone) {
  platform_.reset();
  grpc::ClientContext context;
  slipway::image::v1::GetImageRequest request;
  slipway::image::v1::GetImageResponse response;
  EXPECT_EQ(images_->GetImage(&context, request, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace slipway::gateway
