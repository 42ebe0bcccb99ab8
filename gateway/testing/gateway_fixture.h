#ifndef GATEWAY_TESTING_GATEWAY_FIXTURE_H_
#define GATEWAY_TESTING_GATEWAY_FIXTURE_H_

#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/server.h"
#include "gateway/testing/fake_platform.h"
#include "gateway/testing/http_client.h"

namespace slipway::gateway {

// A gateway in this process, before services in memory.
class GatewayTest : public testing::Test {
 protected:
  // gRPC stays up from test to test: its shutdown can wait 10 s for a poller of its own.
  static void SetUpTestSuite() { grpc_init(); }

  void SetUp() override {
    char directory[] = "/tmp/slipway-gateway-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    auto platform = FakePlatform::Start(directory_);
    ASSERT_TRUE(platform.ok()) << platform.status();
    platform_ = std::move(*platform);
    ServerOptions options;
    options.docker_socket = docker_socket();
    options.native_socket = native_socket();
    options.http_address = "127.0.0.1:0";
    options.backends = platform_->addresses();
    auto server = Server::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
  }

  void TearDown() override {
    server_.reset();
    platform_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string docker_socket() const { return directory_ + "/docker.sock"; }
  std::string native_socket() const { return directory_ + "/slipway.sock"; }

  // One request on a connection of its own.
  HttpClient::Response Call(absl::string_view method, absl::string_view target,
                            absl::string_view json = "") {
    return HttpClient(docker_socket()).Call(method, target, json);
  }

  // The bytes as they are, and the answer.
  HttpClient::Response Raw(absl::string_view bytes) {
    HttpClient client(docker_socket());
    client.Send(bytes);
    return client.Read();
  }

  std::string directory_;
  std::unique_ptr<FakePlatform> platform_;
  std::unique_ptr<Server> server_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_GATEWAY_FIXTURE_H_
