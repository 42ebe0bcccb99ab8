#ifndef SERVICES_CONTAINER_RPC_UNARY_CALL_H_
#define SERVICES_CONTAINER_RPC_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"

namespace slipway::container {

// A unary call that is answered later, or not at all when the client leaves or the server stops
// first: the operation goes on then, and its answer is dropped. Owns itself until gRPC is done with
// it. Thread-safe.
class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  static std::shared_ptr<UnaryCall> New() {
    std::shared_ptr<UnaryCall> call(new UnaryCall);
    call->self_ = call;
    return call;
  }

  // Runs `fill`, which may write the response, and answers, unless the call has ended.
  template <typename Fill>
  void End(const absl::Status& status, Fill fill) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      if (ended_) return;
      ended_ = true;
      if (status.ok()) fill();
    }
    Finish(ToGrpc(status));
  }
  void End(const absl::Status& status) {
    End(status, [] {});
  }

  void OnCancel() override { End(absl::CancelledError("the call was cancelled")); }
  void OnDone() override { const std::shared_ptr<UnaryCall> last = std::move(self_); }

 private:
  UnaryCall() = default;

  std::shared_ptr<UnaryCall> self_;
  absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_UNARY_CALL_H_
