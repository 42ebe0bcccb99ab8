#ifndef SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_
#define SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace slipway::container {

// A unary call that is under way while its caller does something else. Whoever waits for it leaves
// the connections to gRPC's callback threads: a thread that waits by a completion queue polls them,
// and gRPC 1.51 (ev_epoll1_linux.cc) hands the polling on from each to the next with every event.
// Not from one of those threads. Not thread-safe.
template <typename Request, typename Response>
class PendingCall {
 public:
  template <typename Async>
  PendingCall(Async* async,
              void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                    std::function<void(grpc::Status)>),
              const Request& request, absl::Time deadline) {
    context_.set_deadline(absl::ToChronoTime(deadline));
    (async->*method)(&context_, &request, &response_, [this](grpc::Status status) {
      status_ = std::move(status);
      ended_.Notify();
    });
  }
  ~PendingCall() {
    if (!ended_.HasBeenNotified()) context_.TryCancel();
    ended_.WaitForNotification();
  }
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  // Waits for the answer.
  const grpc::Status& Finish() {
    ended_.WaitForNotification();
    return status_;
  }
  // After Finish().
  Response& response() { return response_; }

 private:
  grpc::ClientContext context_;
  Response response_;
  grpc::Status status_;
  absl::Notification ended_;
};

template <typename Async, typename Request, typename Response>
std::shared_ptr<PendingCall<Request, Response>> BeginCall(
    Async* async,
    void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                          std::function<void(grpc::Status)>),
    const Request& request, absl::Time deadline) {
  return std::make_shared<PendingCall<Request, Response>>(async, method, request, deadline);
}

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_
