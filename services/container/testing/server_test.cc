// The whole service over its wire, between an agent and an image service that answer over theirs.
#include "services/container/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/metrics/metrics.h"
#include "base/rpc/channel.h"
#include "base/rpc/server.h"
#include "base/rpc/status_conversion.h"
#include "services/container/testing/fakes.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/container/v1/container.grpc.pb.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::container {
namespace {

using grpc::ServerContext;
namespace pb = agent::v1;

void Put(const Actual& from, pb::ContainerActual* to) {
  to->set_container_id(from.container_id);
  to->set_status(static_cast<pb::ContainerActual::Status>(from.status));
  to->set_pid(from.pid);
  to->set_started_unix_ns(from.started_unix_ns);
  to->set_finished_unix_ns(from.finished_unix_ns);
  to->set_exit_code(from.exit_code);
}

class WireAgent : public pb::AgentService::Service {
 public:
  explicit WireAgent(FakeAgent& fake) : fake_(fake) {}
  grpc::Status GetHost(ServerContext*, const pb::GetHostRequest*,
                       pb::GetHostResponse* response) override {
    response->set_host_id("host-1");
    response->set_cpu_count(2);
    return grpc::Status::OK;
  }
  grpc::Status PrepareContainer(ServerContext*, const pb::PrepareContainerRequest* request,
                                pb::PrepareContainerResponse*) override {
    Definition definition;
    definition.id = request->container_id();
    return ToGrpc(fake_.Prepare({.definition = &definition, .name = request->name()}).status());
  }
  grpc::Status StartContainer(ServerContext*, const pb::StartContainerRequest* request,
                              pb::StartContainerResponse* response) override {
    const auto started = fake_.Start(request->container_id(), {});
    if (!started.ok()) return ToGrpc(started.status());
    response->set_pid(started->pid);
    response->set_started_unix_ns(started->started_unix_ns);
    response->set_was_running(started->was_running);
    return grpc::Status::OK;
  }
  grpc::Status SignalContainer(ServerContext*, const pb::SignalContainerRequest* request,
                               pb::SignalContainerResponse* response) override {
    const auto ran = fake_.Signal(request->container_id(), request->signal_number());
    response->set_was_running(ran.value_or(false));
    return ToGrpc(ran.status());
  }
  grpc::Status RemoveContainer(ServerContext*, const pb::RemoveContainerRequest* request,
                               pb::RemoveContainerResponse*) override {
    return ToGrpc(fake_.Remove(request->container_id()));
  }
  grpc::Status ListContainers(ServerContext*, const pb::ListContainersRequest*,
                              pb::ListContainersResponse* response) override {
    const auto list = fake_.List();
    response->set_sequence(list->sequence);
    for (const Actual& actual : list->containers) Put(actual, response->add_containers());
    return grpc::Status::OK;
  }
  grpc::Status WatchAgentEvents(ServerContext*, const pb::WatchAgentEventsRequest* request,
                                grpc::ServerWriter<pb::WatchAgentEventsResponse>* writer) override {
    return ToGrpc(fake_.Watch(request->after_sequence(), [writer](const AgentEvent& event) {
      pb::WatchAgentEventsResponse response;
      response.set_sequence(event.sequence);
      if (const auto* started = std::get_if<ContainerStarted>(&event.kind)) {
        Put(started->actual, response.mutable_container_started());
      } else if (const auto* exited = std::get_if<ContainerExited>(&event.kind)) {
        Put(exited->actual, response.mutable_container_exited());
      } else if (const auto* removed = std::get_if<ContainerRemoved>(&event.kind)) {
        response.set_container_removed(removed->container_id);
      }
      writer->Write(response);
    }));
  }

 private:
  FakeAgent& fake_;
};

class WireImages : public image::v1::ImageService::Service {
 public:
  grpc::Status AcquireImage(ServerContext*, const image::v1::AcquireImageRequest*,
                            image::v1::AcquireImageResponse* response) override {
    response->mutable_image()->set_id("sha256:feed");
    response->mutable_image()->mutable_config()->add_command("true");
    response->mutable_image()->mutable_config()->add_env("PATH=/bin");
    return grpc::Status::OK;
  }
  grpc::Status ReleaseImage(ServerContext*, const image::v1::ReleaseImageRequest*,
                            image::v1::ReleaseImageResponse*) override {
    return grpc::Status::OK;
  }
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() : agent_(fake_) {
    char path[] = "/tmp/slipway_server_XXXXXX";
    directory_ = mkdtemp(path);
    agent_server_ =
        *RpcServer::Start({.listeners = {{.path = directory_ + "/agent"}}}, {&agent_}, metrics_);
    image_server_ = *RpcServer::Start({.listeners = {{.path = directory_ + "/image"}}}, {&images_},
                                      image_metrics_);
    auto server = Server::Start({.root = directory_,
                                 .socket = directory_ + "/container",
                                 .image_socket = directory_ + "/image",
                                 .agent_socket = directory_ + "/agent"});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::ContainerService::NewStub(NewChannel(directory_ + "/container"));
  }
  ~ServerTest() override {
    server_.reset();
    fake_.CancelWatch();
    agent_server_.reset();
    image_server_.reset();
    std::filesystem::remove_all(directory_);
  }

  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::ContainerService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::string Create() {
    v1::CreateContainerRequest request;
    request.mutable_spec()->set_image("busybox");
    request.mutable_spec()->set_client_data(std::string(2000, 'x'));
    (*request.mutable_spec()->mutable_labels())["a"] = "b";
    return Call(&v1::ContainerService::Stub::CreateContainer, request).id();
  }
  void Start(const std::string& id) {
    v1::StartContainerRequest request;
    request.set_container(id);
    Call(&v1::ContainerService::Stub::StartContainer, request);
  }
  void Remove(const std::string& id) {
    v1::RemoveContainerRequest request;
    request.set_container(id);
    Call(&v1::ContainerService::Stub::RemoveContainer, request);
  }
  static int Threads() {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  }

  std::string directory_;
  FakeAgent fake_;
  WireAgent agent_;
  WireImages images_;
  Metrics metrics_;
  Metrics image_metrics_;
  std::unique_ptr<RpcServer> agent_server_;
  std::unique_ptr<RpcServer> image_server_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::ContainerService::Stub> stub_;
};

// What one wait tells.
int WaitFor(v1::ContainerService::Stub& stub, const std::string& id,
            const std::function<void()>& registered) {
  grpc::ClientContext context;
  v1::WaitContainerRequest request;
  request.set_container(id);
  request.set_condition(v1::WaitContainerRequest::CONDITION_NEXT_EXIT);
  const auto reader = stub.WaitContainer(&context, request);
  v1::WaitContainerResponse response;
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.registered());
  registered();
  EXPECT_TRUE(reader->Read(&response));
  const int code = response.exit_code();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  return code;
}

TEST_F(ServerTest, WholeLifeAndItsTime) {
  fake_.exit_at_once = 3;
  constexpr int kRounds = 50;
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    const absl::Time begin = absl::Now();
    const std::string id = Create();
    EXPECT_EQ(WaitFor(*stub_, id, [&] { Start(id); }), 3);
    Remove(id);
    times.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
  }
  std::sort(times.begin(), times.end());
  std::printf("create+start+wait+rm over the wire: median %.3f ms, best %.3f ms\n",
              times[kRounds / 2], times[0]);
  grpc::ClientContext context;
  v1::WaitContainerRequest request;
  request.set_container("gone");
  v1::WaitContainerResponse response;
  const auto reader = stub_->WaitContainer(&context, request);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, AThousandAreListedInTime) {
  for (int i = 0; i < 1000; ++i) Create();
  v1::ListContainersRequest request;
  request.set_all(true);
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    const absl::Time begin = absl::Now();
    const auto response = Call(&v1::ContainerService::Stub::ListContainers, request);
    times.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
    ASSERT_EQ(response.containers_size(), 1000);
    EXPECT_TRUE(response.containers(0).spec().client_data().empty());
    EXPECT_GT(response.containers(0).created_unix_ns(), response.containers(999).created_unix_ns());
  }
  std::sort(times.begin(), times.end());
  std::printf("list of 1,000, decoded: median %.3f ms, best %.3f ms\n", times[10], times[0]);
  v1::GetContainerRequest one;
  one.set_container(Call(&v1::ContainerService::Stub::ListContainers, request).containers(7).id());
  EXPECT_EQ(Call(&v1::ContainerService::Stub::GetContainer, one).container().spec().client_data(),
            std::string(2000, 'x'));
}

TEST_F(ServerTest, HundredsWaitAndStopWithoutAThreadEach) {
  const std::string id = Create();
  Start(id);
  fake_.ignore_term = true;
  constexpr int kCalls = 400;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WaitContainerResponse>>> readers;
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    v1::WaitContainerRequest request;
    request.set_container(id);
    readers.push_back(stub_->WaitContainer(contexts.back().get(), request));
    v1::WaitContainerResponse response;
    ASSERT_TRUE(readers.back()->Read(&response));
  }
  EXPECT_LT(Threads(), 150);
  contexts[0]->TryCancel();
  fake_.Exit(id, 12);
  for (int i = 1; i < kCalls; ++i) {
    v1::WaitContainerResponse response;
    ASSERT_TRUE(readers[static_cast<size_t>(i)]->Read(&response));
    EXPECT_EQ(response.exit_code(), 12);
  }
}

TEST_F(ServerTest, EventsResume) {
  const std::string id = Create();
  const auto watch = [this](uint64_t after, bool stop_at_end) {
    grpc::ClientContext context;
    v1::WatchEventsRequest request;
    request.set_after_sequence(after);
    request.set_stop_at_end(stop_at_end);
    const auto reader = stub_->WatchEvents(&context, request);
    std::vector<std::string> actions;
    v1::WatchEventsResponse response;
    while (reader->Read(&response)) {
      actions.push_back(response.registered() ? "registered" : response.event().action());
    }
    EXPECT_TRUE(reader->Finish().ok());
    return actions;
  };
  Start(id);
  EXPECT_EQ(watch(0, true), (std::vector<std::string>{"registered", "create", "connect", "start"}));
  EXPECT_EQ(watch(1, true), (std::vector<std::string>{"registered", "connect", "start"}));
  grpc::ClientContext context;
  v1::WatchEventsRequest request;
  request.set_only_new(true);
  const auto reader = stub_->WatchEvents(&context, request);
  v1::WatchEventsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.registered());
  fake_.Exit(id, 5);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.event().action(), "die");
  EXPECT_EQ(response.event().attributes().at("exitCode"), "5");
  EXPECT_EQ(response.event().sequence(), 4u);
}

TEST_F(ServerTest, ShutsDownWhileAStopAndAWaitArePending) {
  const std::string id = Create();
  Start(id);
  fake_.ignore_term = true;
  std::thread stopper([&] {
    grpc::ClientContext context;
    v1::StopContainerRequest request;
    request.set_container(id);
    request.set_timeout_seconds(-1);
    v1::StopContainerResponse response;
    EXPECT_FALSE(stub_->StopContainer(&context, request, &response).ok());
  });
  while (fake_.SignalsOf(id).empty()) absl::SleepFor(absl::Milliseconds(1));
  const absl::Time begin = absl::Now();
  server_.reset();
  stopper.join();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_EQ(fake_.Get(id).status, Actual::Status::kRunning);
}

}  // namespace
}  // namespace slipway::container
