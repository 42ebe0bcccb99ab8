#include "base/rpc/callback_threads.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/time/time.h"
#include "base/os/thread.h"

namespace slipway {
namespace {

// Less than the second after which they sleep, by enough for a machine that is busy.
constexpr absl::Duration kPeriod = absl::Milliseconds(500);

}  // namespace

// A channel without credentials is "lame": whatever is called on it fails at once.
CallbackThreadsAwake::CallbackThreadsAwake()
    : stub_(grpc::CreateChannel("nowhere", nullptr)), thread_([this] { Run(); }) {}

CallbackThreadsAwake::~CallbackThreadsAwake() {
  {
    absl::MutexLock lock(&mu_);
    stop_ = true;
  }
  thread_.join();
}

void CallbackThreadsAwake::Run() {
  NameThread("rpc-awake");
  while (true) {
    Call();
    absl::MutexLock lock(&mu_);
    const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stop_; };
    if (mu_.AwaitWithTimeout(absl::Condition(&over), kPeriod)) break;
  }
  absl::MutexLock lock(&mu_);
  const auto answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !under_way_; };
  mu_.Await(absl::Condition(&answered));
}

void CallbackThreadsAwake::Call() {
  {
    absl::MutexLock lock(&mu_);
    if (under_way_) return;  // the threads are busy, and so awake
    under_way_ = true;
  }
  struct Tick {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer response;
  };
  auto tick = std::make_shared<Tick>();
  const grpc::Slice nothing;
  tick->request = grpc::ByteBuffer(&nothing, 1);
  stub_.UnaryCall(&tick->context, "/slipway.Awake/Tick", {}, &tick->request, &tick->response,
                  [this, tick](const grpc::Status&) {
                    absl::MutexLock lock(&mu_);
                    under_way_ = false;
                  });
}

}  // namespace slipway
