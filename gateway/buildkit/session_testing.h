#ifndef GATEWAY_BUILDKIT_SESSION_TESTING_H_
#define GATEWAY_BUILDKIT_SESSION_TESTING_H_

#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "gateway/buildkit/file_sync.h"
#include "gateway/buildkit/sessions.h"
#include "gateway/http/io_threads.h"

namespace slipway::gateway {

using ServerStream = grpc::ServerReaderWriter<fsutil::types::Packet, fsutil::types::Packet>;

// The client's machine: what it does with a DiffCopy, the test says.
class Client : public moby::filesync::v1::FileSync::Service {
 public:
  std::function<void(ServerStream&)> script;
  std::multimap<std::string, std::string> metadata;

  grpc::Status outcome;

  grpc::Status DiffCopy(grpc::ServerContext* context, ServerStream* stream) override {
    for (const auto& [name, value] : context->client_metadata()) {
      metadata.emplace(std::string(name.data(), name.size()),
                       std::string(value.data(), value.size()));
    }
    script(*stream);
    return outcome;
  }
};

// A session with a client over a real connection.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&client_);
    server_ = builder.BuildAndStart();
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    grpc::AddInsecureChannelFromFd(server_.get(), ends[0]);
    session_ = *sessions_.Open("s", {"/moby.filesync.v1.FileSync/DiffCopy"}, UniqueFd(ends[1]));
  }
  ~SessionTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    calls_.Drain(absl::Seconds(1), absl::Seconds(1));
  }

  template <typename Result>
  Result Wait(Awaitable<Result> work) {
    return asio::co_spawn(threads_.Next(), std::move(work), asio::use_future).get();
  }

  Client client_;
  std::unique_ptr<grpc::Server> server_;
  BuildSessions sessions_;
  BuildSessionPtr session_;
  CallTracker calls_;
  IoThreads threads_{1};
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_SESSION_TESTING_H_
