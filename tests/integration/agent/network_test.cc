// Containers on the default bridge.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/os/unique_fd.h"
#include "tests/integration/agent/host.h"

namespace slipway::agent {
namespace {

using testing::HasSubstr;

class NetworkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { host_ = new Host; }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  v1::PrepareContainerRequest OnBridge(const std::vector<std::string>& argv) {
    auto request = host_->Request(argv);
    request.mutable_spec()->mutable_network()->set_mode("bridge");
    return request;
  }
  static Host* host_;
};

Host* NetworkTest::host_ = nullptr;

// What a server sends right after the connection; empty when there is none.
std::string ReadFrom(const std::string& address, uint16_t port) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      usleep(20000);
      continue;
    }
    char text[256];
    const ssize_t got = recv(fd.get(), text, sizeof(text), 0);
    if (got > 0) return std::string(text, static_cast<size_t>(got));
    usleep(20000);
  }
  return "";
}

TEST_F(NetworkTest, TwoContainersReachEachOther) {
  const auto server = OnBridge({"sh", "-c", "while :; do echo from server | nc -l -p 8080; done"});
  ASSERT_TRUE(host_->Prepare(server).ok());
  v1::StartContainerResponse started;
  ASSERT_TRUE(host_->Start(server.container_id(), &started).ok());
  ASSERT_EQ(started.endpoints_size(), 1);
  EXPECT_EQ(started.endpoints(0).network(), "bridge");
  EXPECT_EQ(started.endpoints(0).gateway(), host_->gateway());
  const std::string address = started.endpoints(0).address();
  const auto client =
      OnBridge({"sh", "-c",
                absl::StrCat("ping -c 1 -W 5 ", address, " >/dev/null && echo pong; ",
                             "for i in 1 2 3 4 5 6 7 8 9; do nc ", address,
                             " 8080 </dev/null && break; sleep 0.1; done; ping -c 1 -W 5 ",
                             host_->gateway(), " >/dev/null && echo gateway; hostname -i")});
  EXPECT_EQ(host_->Run(client).exit_code(), 0);
  const std::string text = host_->Log(client.container_id());
  EXPECT_THAT(text, HasSubstr("pong\nfrom server\ngateway\n172."));
  EXPECT_EQ(ReadFrom(address, 8080), "from server\n");
  EXPECT_TRUE(host_->Remove(server.container_id()).ok());
  EXPECT_TRUE(host_->Remove(client.container_id()).ok());
}

TEST_F(NetworkTest, PublishedPort) {
  auto server = OnBridge({"sh", "-c", "while :; do echo published | nc -l -p 80; done"});
  auto* port = server.mutable_spec()->mutable_network()->add_ports();
  port->set_container_port(80);
  port->set_protocol("tcp");
  ASSERT_TRUE(host_->Prepare(server).ok());
  v1::StartContainerResponse started;
  ASSERT_TRUE(host_->Start(server.container_id(), &started).ok());
  // In IPv6, too.
  ASSERT_EQ(started.endpoints(0).ports_size(), 2);
  const uint32_t host_port = started.endpoints(0).ports(0).host_port();
  EXPECT_GT(host_port, 0u);
  EXPECT_EQ(ReadFrom("127.0.0.1", static_cast<uint16_t>(host_port)), "published\n");
  // The same port again.
  auto second = OnBridge({"true"});
  auto* same = second.mutable_spec()->mutable_network()->add_ports();
  same->set_container_port(80);
  same->set_host_port(host_port);
  ASSERT_TRUE(host_->Prepare(second).ok());
  const grpc::Status status = host_->Start(second.container_id());
  EXPECT_THAT(status.error_message(), HasSubstr("port is already allocated"));
  EXPECT_TRUE(host_->Remove(server.container_id()).ok());
  host_->AwaitRemoved(server.container_id());
  EXPECT_TRUE(host_->Start(second.container_id()).ok());
  host_->AwaitExit(second.container_id());
  EXPECT_TRUE(host_->Remove(second.container_id()).ok());
}

TEST_F(NetworkTest, PortsAndAddressesOutliveTheAgent) {
  auto server = OnBridge({"sh", "-c", "while :; do echo still here | nc -l -p 80; done"});
  server.mutable_spec()->mutable_network()->add_ports()->set_container_port(80);
  ASSERT_TRUE(host_->Prepare(server).ok());
  v1::StartContainerResponse started;
  ASSERT_TRUE(host_->Start(server.container_id(), &started).ok());
  const auto host_port = static_cast<uint16_t>(started.endpoints(0).ports(0).host_port());
  EXPECT_EQ(ReadFrom("127.0.0.1", host_port), "still here\n");
  host_->StopAgent(SIGKILL);
  EXPECT_EQ(ReadFrom(started.endpoints(0).address(), 80), "still here\n");
  host_->StartAgent();
  const auto listed = host_->List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].endpoints(0).address(), started.endpoints(0).address());
  EXPECT_EQ(ReadFrom("127.0.0.1", host_port), "still here\n");
  const auto other = OnBridge({"hostname", "-i"});
  EXPECT_EQ(host_->Run(other).exit_code(), 0);
  EXPECT_NE(host_->Log(other.container_id()), started.endpoints(0).address() + "\n");
  EXPECT_TRUE(host_->Remove(server.container_id()).ok());
  EXPECT_TRUE(host_->Remove(other.container_id()).ok());
  host_->AwaitRemoved(server.container_id());
  host_->AwaitRemoved(other.container_id());
  for (int i = 0; i < 300 && !host_->KernelObjects().empty(); ++i) usleep(10000);
  EXPECT_THAT(host_->KernelObjects(), testing::IsEmpty());
}

// A container, a network beside the default bridge, and calls that connect the two.
class ConnectTest : public NetworkTest {
 protected:
  void SetUp() override {
    grpc::ClientContext context;
    v1::PutNetworkRequest request;
    network_id_ = Host::NewId();
    request.mutable_network()->set_id(network_id_);
    request.mutable_network()->set_name("n");
    request.mutable_network()->set_driver("bridge");
    request.mutable_network()->add_subnets()->set_subnet("10.93.7.0/24");
    request.mutable_network()->add_subnets()->set_subnet("fd93:7::/64");
    v1::PutNetworkResponse response;
    context.set_wait_for_ready(true);
    const grpc::Status put = host_->agent()->PutNetwork(&context, request, &response);
    ASSERT_TRUE(put.ok()) << put.error_message();
    const auto server = OnBridge({"sleep", "1000"});
    container_id_ = server.container_id();
    ASSERT_TRUE(host_->Prepare(server).ok());
    ASSERT_TRUE(host_->Start(container_id_).ok());
  }
  // Nothing may be left.
  void TearDown() override {
    EXPECT_TRUE(host_->Remove(container_id_).ok());
    host_->AwaitRemoved(container_id_);
    grpc::ClientContext context;
    v1::RemoveNetworkRequest request;
    request.set_network_id(network_id_);
    v1::RemoveNetworkResponse response;
    EXPECT_TRUE(host_->agent()->RemoveNetwork(&context, request, &response).ok());
    for (int i = 0; i < 300 && !host_->KernelObjects().empty(); ++i) usleep(10000);
    EXPECT_THAT(host_->KernelObjects(), testing::IsEmpty());
  }
  // How many networks it is in afterwards; -1 where the call failed.
  int Connect() {
    v1::ConnectContainerRequest request;
    request.set_container_id(container_id_);
    request.mutable_attachment()->set_network_id(network_id_);
    v1::ConnectContainerResponse response;
    const grpc::Status status = Call(&v1::AgentService::Stub::ConnectContainer, request, &response);
    return status.ok() ? response.endpoints_size() : -1;
  }
  int Disconnect() {
    v1::DisconnectContainerRequest request;
    request.set_container_id(container_id_);
    request.set_network_id(network_id_);
    v1::DisconnectContainerResponse response;
    const grpc::Status status =
        Call(&v1::AgentService::Stub::DisconnectContainer, request, &response);
    return status.ok() ? response.endpoints_size() : -1;
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::AgentService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    const auto agent = host_->agent();
    grpc::Status status = (agent.get()->*method)(&context, request, response);
    if (!status.ok()) std::cerr << status.error_message() << "\n";
    return status;
  }
  // As clients do: asked again where the connection broke under the question.
  template <typename Ask>
  static int Again(const Ask& ask) {
    int networks = ask();
    for (int i = 0; networks < 0 && i < 3; ++i) networks = ask();
    return networks;
  }

  std::string network_id_;
  std::string container_id_;
};

// The agent is killed at every point of a connect and of a disconnect: what it had half done is
// gone or finished, the call can be made again, and nothing is left in the end.
TEST_F(ConnectTest, KilledAtEveryStep) {
  const auto dies_at = [&](const std::string& step, const auto& call) {
    SCOPED_TRACE(step);
    host_->FailStartsAt("kill " + step);
    EXPECT_EQ(call(), -1);
    host_->FailStartsAt("");
    host_->StopAgent(SIGKILL);
    host_->StartAgent();
  };
  for (const char* step : {"connect:wire", "connect:routes", "connect:saved"}) {
    dies_at(step, [&] { return Connect(); });
    ASSERT_EQ(Connect(), 2) << step;
    ASSERT_EQ(Disconnect(), 1) << step;
  }
  for (const char* step : {"disconnect:saved", "disconnect:wire", "disconnect:routes"}) {
    ASSERT_EQ(Connect(), 2) << step;
    dies_at(step, [&] { return Disconnect(); });
    ASSERT_EQ(Disconnect(), 1) << step;
  }
}

// The same between the steps: a little later each time.
TEST_F(ConnectTest, KilledAtAnyInstant) {
  constexpr int kKills = 20;
  constexpr useconds_t kStepUs = 150;
  const auto dies_after = [&](int step, const auto& call) {
    std::thread caller([&] { call(); });
    usleep(static_cast<useconds_t>(step) * kStepUs);
    host_->StopAgent(SIGKILL);
    host_->StartAgent();
    // A call that had not begun goes to the next one.
    caller.join();
  };
  for (int step = 0; step < kKills; ++step) {
    dies_after(step, [&] { return Connect(); });
    ASSERT_EQ(Again([&] { return Connect(); }), 2) << step;
    dies_after(step, [&] { return Disconnect(); });
    ASSERT_EQ(Again([&] { return Disconnect(); }), 1) << step;
  }
}

}  // namespace
}  // namespace slipway::agent
