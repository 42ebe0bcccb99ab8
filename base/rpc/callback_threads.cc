#include "base/rpc/callback_threads.h"

#include <grpc/support/cpu.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "base/os/thread.h"

namespace slipway {
namespace {

// Less than the second after which they sleep, by enough for a machine that is busy.
constexpr absl::Duration kPeriod = absl::Milliseconds(500);
// gRPC has half as many as there are processors, two at least: here these two.
constexpr unsigned kProcessorsOfTwo = 5;

// One at most in a process, however many servers it has.
std::atomic<bool> one_rests = false;

}  // namespace

// A channel without credentials is "lame": whatever is called on it fails at once.
CallbackThreads::CallbackThreads()
    : stub_(grpc::CreateChannel("nowhere", nullptr)), thread_([this] { Run(); }) {}

CallbackThreads::~CallbackThreads() {
  {
    absl::MutexLock lock(&mu_);
    stop_ = true;
    rest_ = false;
  }
  thread_.join();
  absl::MutexLock lock(&mu_);
  const auto answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return calls_ == 0; };
  mu_.Await(absl::Condition(&answered));
}

void CallbackThreads::Run() {
  NameThread("rpc-awake");
  while (true) {
    Tick();
    absl::MutexLock lock(&mu_);
    const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stop_; };
    if (mu_.AwaitWithTimeout(absl::Condition(&over), kPeriod)) return;
  }
}

void CallbackThreads::Tick() {
  {
    absl::MutexLock lock(&mu_);
    if (under_way_) {  // for a whole period
      rest_ = false;
      return;
    }
    under_way_ = true;
  }
  Call([this] {
    absl::MutexLock lock(&mu_);
    under_way_ = false;
  });
  if (gpr_cpu_num_cores() <= kProcessorsOfTwo && !one_rests.exchange(true)) Rest();
}

void CallbackThreads::Rest() {
  {
    absl::MutexLock lock(&mu_);
    rest_ = !stop_;
  }
  Call([this] {
    {
      absl::MutexLock lock(&mu_);
      const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !rest_; };
      mu_.Await(absl::Condition(&over));
    }
    one_rests = false;
  });
}

void CallbackThreads::Call(std::function<void()> done) {
  struct State {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer response;
  };
  auto owned = std::make_shared<State>();
  State& state = *owned;
  const grpc::Slice nothing;
  state.request = grpc::ByteBuffer(&nothing, 1);
  {
    absl::MutexLock lock(&mu_);
    ++calls_;
  }
  // The last reference to a channel ends the callback threads, which none of them can wait for.
  stub_.UnaryCall(
      &state.context, "/slipway.Awake/Tick", {}, &state.request, &state.response,
      [this, owned = std::move(owned), done = std::move(done)](const grpc::Status&) mutable {
        done();
        owned = nullptr;
        absl::MutexLock lock(&mu_);
        --calls_;
      });
}

}  // namespace slipway
