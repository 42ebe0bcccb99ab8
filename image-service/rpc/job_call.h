#ifndef IMAGE_SERVICE_RPC_JOB_CALL_H_
#define IMAGE_SERVICE_RPC_JOB_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "base/rpc/status_conversion.h"
#include "image-service/domain/cancellation.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {

// A unary call whose work waits for registries: it runs in a job, and hears when the client leaves.
// Deletes itself, after the job has finished the call.
class JobCall : public grpc::ServerUnaryReactor {
 public:
  using Work = std::function<absl::Status(const Cancellation&)>;

  static grpc::ServerUnaryReactor* Run(WorkerPool& jobs, Work work) {
    auto* call = new JobCall;
    if (!jobs.TrySchedule(
            [call, work = std::move(work)] { call->Finish(ToGrpc(work(call->cancel_))); })) {
      call->Finish(ToGrpc(TooManyJobs()));
    }
    return call;
  }
  void OnCancel() override { cancel_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  Cancellation cancel_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_JOB_CALL_H_
