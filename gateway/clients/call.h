#ifndef GATEWAY_CLIENTS_CALL_H_
#define GATEWAY_CLIENTS_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/rpc/request_id.h"
#include "base/rpc/status_conversion.h"
#include "gateway/clients/call_tracker.h"
#include "gateway/http/coroutine.h"

// gRPC's callback API for coroutines: nothing here blocks, and a call takes no thread while it
// waits. Streams are read one message ahead, so that a slow client slows its service down.
namespace slipway::gateway {

// Whether gRPC takes it for a value of metadata; others end the call, and some the process.
inline bool IsMetadataText(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isprint);
}

struct CallOptions {
  std::string request_id;
  // Infinite for calls that wait for a container.
  absl::Duration timeout = absl::Seconds(120);
  // More of it; IsMetadataText().
  std::vector<std::pair<std::string, std::string>> metadata = {};

  bool endless() const { return timeout == absl::InfiniteDuration(); }
};

inline void Prepare(grpc::ClientContext& context, const CallOptions& options) {
  SetRequestId(context, options.request_id);
  for (const auto& [name, value] : options.metadata) context.AddMetadata(name, value);
  if (!options.endless()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
  }
}

// A unary call: `co_await Invoke(tracker, stub->async(), &Calls::GetImage, request, options)`.
template <typename Stub, typename Calls, typename Request, typename Response>
Awaitable<absl::StatusOr<Response>> Invoke(CallTracker& tracker, Stub* stub,
                                           void (Calls::*method)(grpc::ClientContext*,
                                                                 const Request*, Response*,
                                                                 std::function<void(grpc::Status)>),
                                           Request request, CallOptions options) {
  struct State {
    State(CallTracker& tracker, bool endless) : context(tracker, endless) {}
    TrackedContext context;
    Request request;
    Response response;
  };
  auto state = std::make_shared<State>(tracker, options.endless());
  state->request = std::move(request);
  Prepare(state->context.get(), options);
  auto start = [&](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    auto executor = asio::get_associated_executor(*shared);
    (stub->*method)(&state->context.get(), &state->request, &state->response,
                    [state, shared, executor](grpc::Status status) {
                      asio::post(executor, [state, shared, status = std::move(status)]() mutable {
                        std::move (*shared)(std::move(status));
                      });
                    });
  };
  const grpc::Status status =
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void(grpc::Status)>(
          start, asio::use_awaitable);
  if (!status.ok()) co_return FromGrpc(status);
  co_return std::move(state->response);
}

namespace internal {

// What a coroutine waits for and a gRPC thread signals. One waiter. Not thread-safe by itself.
class Waiter {
 public:
  bool armed() const { return static_cast<bool>(resume_); }
  void Arm(absl::AnyInvocable<void()> resume) { resume_ = std::move(resume); }
  absl::AnyInvocable<void()> Take() { return std::exchange(resume_, nullptr); }

 private:
  absl::AnyInvocable<void()> resume_;
};

}  // namespace internal

// The client's side of a stream of `Response`, with or without a stream of `Request`. Keeps itself
// alive until gRPC is done with it; whoever drops the last StreamHandle cancels the call.
template <typename Reactor, typename Request, typename Response>
class StreamCall : public Reactor {
 public:
  static constexpr bool kWrites =
      std::is_same_v<Reactor, grpc::ClientBidiReactor<Request, Response>>;

  StreamCall(CallTracker& tracker, const CallOptions& options)
      : context_(tracker, options.endless()) {
    Prepare(context_.get(), options);
  }

  grpc::ClientContext* context() { return &context_.get(); }
  // Of a stream of one request.
  Request* request() { return &request_; }

  void Begin(std::shared_ptr<StreamCall> self) {
    self_ = std::move(self);
    this->AddHold();
    this->StartRead(&slot_);
    this->StartCall();
  }

  // The next message; false at the end of the stream. One coroutine reads.
  Awaitable<bool> Next(Response& out) {
    co_await Until(&StreamCall::reader_,
                   [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return full_ || ended_; });
    {
      absl::MutexLock lock(&mu_);
      if (!full_) co_return false;
      out.Swap(&slot_);
      full_ = false;
      if (released_) co_return true;
    }
    this->StartRead(&slot_);
    co_return true;
  }

  // True when the transport took the message; false when the call is over. One coroutine writes.
  Awaitable<bool> Write(Request message) {
    {
      absl::MutexLock lock(&mu_);
      if (ended_ || released_ || write_failed_) co_return false;
      writing_ = true;
      outgoing_ = std::move(message);
    }
    if constexpr (kWrites) this->StartWrite(&outgoing_);
    co_await Until(&StreamCall::writer_,
                   [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !writing_; });
    absl::MutexLock lock(&mu_);
    co_return !write_failed_;
  }

  // No more messages will be written.
  void WritesDone() {
    {
      absl::MutexLock lock(&mu_);
      if (ended_ || released_ || write_failed_) return;
    }
    if constexpr (kWrites) this->StartWritesDone();
  }

  // The call's outcome. Cancels what is left of it unless Next() said that the stream has ended.
  // Neither Next() nor Write() may follow or be under way.
  Awaitable<absl::Status> Finish() {
    Release();
    co_await Until(&StreamCall::finisher_,
                   [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return done_; });
    absl::MutexLock lock(&mu_);
    co_return FromGrpc(status_);
  }

  void Cancel() { context_.get().TryCancel(); }

  // Ends our interest; what is under way is cancelled.
  void Release() {
    {
      absl::MutexLock lock(&mu_);
      if (released_) return;
      released_ = true;
      if (!ended_) context_.get().TryCancel();
    }
    this->RemoveHold();
  }

  void OnReadDone(bool ok) override {
    absl::AnyInvocable<void()> resume;
    {
      absl::MutexLock lock(&mu_);
      (ok ? full_ : ended_) = true;
      resume = reader_.Take();
    }
    if (resume) resume();
  }

  // Overrides in a bidirectional stream only.
  void OnWriteDone(bool ok) {
    absl::AnyInvocable<void()> resume;
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      write_failed_ = !ok;
      resume = writer_.Take();
    }
    if (resume) resume();
  }

  void OnDone(const grpc::Status& status) override {
    absl::AnyInvocable<void()> resume;
    std::shared_ptr<StreamCall> self;
    {
      absl::MutexLock lock(&mu_);
      done_ = true;
      ended_ = true;
      status_ = status;
      resume = finisher_.Take();
      self = std::move(self_);
    }
    if (resume) resume();
  }

 private:
  template <typename Ready>
  Awaitable<void> Until(internal::Waiter StreamCall::*waiter, Ready ready) {
    while (true) {
      {
        absl::MutexLock lock(&mu_);
        if (ready()) co_return;
      }
      auto start = [&](auto handler) {
        auto executor = asio::get_associated_executor(handler);
        auto resume = [handler = std::move(handler), executor]() mutable {
          asio::post(executor, std::move(handler));
        };
        bool at_once = false;
        {
          absl::MutexLock lock(&mu_);
          at_once = ready();
          if (!at_once) (this->*waiter).Arm(std::move(resume));
        }
        if (at_once) resume();
      };
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start,
                                                                           asio::use_awaitable);
    }
  }

  TrackedContext context_;
  std::shared_ptr<StreamCall> self_;
  Request request_;   // until the call is done
  Request outgoing_;  // while writing_
  Response slot_;     // gRPC's unless full_
  absl::Mutex mu_;
  internal::Waiter reader_ ABSL_GUARDED_BY(mu_);
  internal::Waiter writer_ ABSL_GUARDED_BY(mu_);
  internal::Waiter finisher_ ABSL_GUARDED_BY(mu_);
  bool full_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool write_failed_ ABSL_GUARDED_BY(mu_) = false;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

// Owns interest in a call: the last owner to go cancels it. Copies share it.
template <typename Call>
class StreamHandle {
 public:
  explicit StreamHandle(std::shared_ptr<Call> call)
      : call_(call.get(), [call](Call*) { call->Release(); }) {}
  Call* operator->() const { return call_.get(); }

 private:
  std::shared_ptr<Call> call_;
};

template <typename Request, typename Response>
using ReadCall = StreamCall<grpc::ClientReadReactor<Response>, Request, Response>;
template <typename Request, typename Response>
using BidiCall = StreamCall<grpc::ClientBidiReactor<Request, Response>, Request, Response>;

template <typename Request, typename Response>
using ReadStream = StreamHandle<ReadCall<Request, Response>>;
template <typename Request, typename Response>
using BidiStream = StreamHandle<BidiCall<Request, Response>>;

// A call with a stream of answers.
template <typename Stub, typename Calls, typename Request, typename Response>
ReadStream<Request, Response> OpenRead(CallTracker& tracker, Stub* stub,
                                       void (Calls::*method)(grpc::ClientContext*, const Request*,
                                                             grpc::ClientReadReactor<Response>*),
                                       Request request, const CallOptions& options) {
  auto call = std::make_shared<ReadCall<Request, Response>>(tracker, options);
  *call->request() = std::move(request);
  (stub->*method)(call->context(), call->request(), call.get());
  call->Begin(call);
  return ReadStream<Request, Response>(call);
}

// A call with streams both ways.
template <typename Stub, typename Calls, typename Request, typename Response>
BidiStream<Request, Response> OpenBidi(
    CallTracker& tracker, Stub* stub,
    void (Calls::*method)(grpc::ClientContext*, grpc::ClientBidiReactor<Request, Response>*),
    const CallOptions& options) {
  auto call = std::make_shared<BidiCall<Request, Response>>(tracker, options);
  (stub->*method)(call->context(), call.get());
  call->Begin(call);
  return BidiStream<Request, Response>(call);
}

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_CALL_H_
