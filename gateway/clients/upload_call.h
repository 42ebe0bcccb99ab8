#ifndef GATEWAY_CLIENTS_UPLOAD_CALL_H_
#define GATEWAY_CLIENTS_UPLOAD_CALL_H_

#include <memory>
#include <utility>

#include "gateway/clients/call.h"

namespace slipway::gateway {

// A call with a stream of requests and one answer. As StreamCall otherwise.
template <typename Request, typename Response>
class UploadCall : public grpc::ClientWriteReactor<Request> {
 public:
  UploadCall(CallTracker& tracker, const CallOptions& options)
      : context_(tracker, options.endless()) {
    Prepare(context_.get(), options);
  }

  grpc::ClientContext* context() { return &context_.get(); }
  Response* response() { return &response_; }

  void Begin(std::shared_ptr<UploadCall> self) {
    self_ = std::move(self);
    this->AddHold();
    this->StartCall();
  }

  // False when the service takes no more: Finish() says why.
  Awaitable<bool> Write(Request message) {
    {
      absl::MutexLock lock(&mu_);
      if (failed_ || released_) co_return false;
      busy_ = true;
      outgoing_ = std::move(message);
    }
    this->StartWrite(&outgoing_);
    co_await Until([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !busy_; });
    absl::MutexLock lock(&mu_);
    co_return !failed_;
  }

  // Says that everything was written, and waits for the answer.
  Awaitable<absl::StatusOr<Response>> Finish() {
    bool complete = false;
    {
      absl::MutexLock lock(&mu_);
      complete = !failed_ && !released_;
    }
    if (complete) this->StartWritesDone();
    finishing_ = true;
    Release();
    co_await Until([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return done_; });
    absl::MutexLock lock(&mu_);
    if (!status_.ok()) co_return FromGrpc(status_);
    co_return std::move(response_);
  }

  void Release() {
    {
      absl::MutexLock lock(&mu_);
      if (!finishing_ && !done_) context_.get().TryCancel();
      if (std::exchange(released_, true)) return;
    }
    this->RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    absl::AnyInvocable<void()> resume;
    {
      absl::MutexLock lock(&mu_);
      busy_ = false;
      failed_ = !ok;
      resume = waiter_.Take();
    }
    if (resume) resume();
  }

  void OnDone(const grpc::Status& status) override {
    absl::AnyInvocable<void()> resume;
    std::shared_ptr<UploadCall> self;
    {
      absl::MutexLock lock(&mu_);
      done_ = true;
      status_ = status;
      resume = waiter_.Take();
      self = std::move(self_);
    }
    if (resume) resume();
  }

 private:
  template <typename Ready>
  Awaitable<void> Until(Ready ready) {
    while (true) {
      auto start = [&](auto handler) {
        auto executor = asio::get_associated_executor(handler);
        auto resume = [handler = std::move(handler), executor]() mutable {
          asio::post(executor, std::move(handler));
        };
        bool at_once = false;
        {
          absl::MutexLock lock(&mu_);
          at_once = ready();
          if (!at_once) waiter_.Arm(std::move(resume));
        }
        if (at_once) resume();
      };
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start,
                                                                           asio::use_awaitable);
      absl::MutexLock lock(&mu_);
      if (ready()) co_return;
    }
  }

  TrackedContext context_;
  std::shared_ptr<UploadCall> self_;
  Request outgoing_;
  Response response_;
  bool finishing_ = false;  // the coroutine's own
  absl::Mutex mu_;
  internal::Waiter waiter_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool failed_ ABSL_GUARDED_BY(mu_) = false;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

template <typename Stub, typename Calls, typename Request, typename Response>
StreamHandle<UploadCall<Request, Response>> OpenUpload(
    CallTracker& tracker, Stub* stub,
    void (Calls::*method)(grpc::ClientContext*, Response*, grpc::ClientWriteReactor<Request>*),
    const CallOptions& options) {
  auto call = std::make_shared<UploadCall<Request, Response>>(tracker, options);
  (stub->*method)(call->context(), call->response(), call.get());
  call->Begin(call);
  return StreamHandle<UploadCall<Request, Response>>(call);
}

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_UPLOAD_CALL_H_
