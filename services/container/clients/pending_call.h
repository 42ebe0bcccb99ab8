#ifndef SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_
#define SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <memory>

#include "absl/time/time.h"

namespace slipway::container {

// A unary call that is under way while its caller does something else; no thread waits for it.
// Not thread-safe.
template <typename Request, typename Response>
class PendingCall {
 public:
  template <typename Stub>
  PendingCall(Stub& stub,
              std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*method)(
                  grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
              const Request& request, absl::Time deadline) {
    context_.set_deadline(absl::ToChronoTime(deadline));
    reader_ = (stub.*method)(&context_, request, &queue_);
    reader_->Finish(&response_, &status_, this);
  }
  ~PendingCall() {
    if (!finished_) {
      context_.TryCancel();
      Finish();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  // Waits for the answer. Once.
  const grpc::Status& Finish() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
    finished_ = true;
    return status_;
  }
  // After Finish().
  const Response& response() const { return response_; }

 private:
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  Response response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
  bool finished_ = false;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_CLIENTS_PENDING_CALL_H_
