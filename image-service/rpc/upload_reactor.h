#ifndef IMAGE_SERVICE_RPC_UPLOAD_REACTOR_H_
#define IMAGE_SERVICE_RPC_UPLOAD_REACTOR_H_

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"
#include "image-service/rpc/byte_queue.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {

// A call whose first message has `options` and whose others have what the image is made of, as
// `take` puts it into the queue: a job makes an image of it and answers with its id. Deletes
// itself, after the job has finished the call.
template <typename Request, typename Response, typename Command>
class UploadReactor : public grpc::ServerReadReactor<Request> {
 public:
  using Parse = std::function<absl::StatusOr<Command>(const Request&)>;
  using Make = std::function<absl::StatusOr<Digest>(const Command&, ByteSource&)>;
  // True when more may be received at once.
  using Take = std::function<bool(Request&, ByteQueue&)>;

  static bool TakeData(Request& request, ByteQueue& queue) {
    return queue.Push(std::move(*request.mutable_data()));
  }

  UploadReactor(WorkerPool& jobs, Response* response, Parse parse, Make make, Take take = TakeData)
      : jobs_(jobs),
        response_(response),
        parse_(std::move(parse)),
        make_(std::move(make)),
        take_(std::move(take)),
        queue_([this] { Receive(); }) {
    this->StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (started_) {
      Continue(ok);
    } else if (!ok || !request_.has_options()) {
      this->Finish(ToGrpc(absl::InvalidArgumentError("the first message must have the options")));
    } else {
      Start();
    }
  }
  void OnCancel() override { queue_.Abort(); }
  void OnDone() override { delete this; }

 private:
  void Start() {
    auto command = parse_(request_);
    if (!command.ok()) {
      this->Finish(ToGrpc(command.status()));
      return;
    }
    started_ = true;
    if (!jobs_.TrySchedule([this, command = *std::move(command)] { Run(command); })) {
      this->Finish(ToGrpc(TooManyJobs()));
      return;
    }
    Receive();
  }

  void Continue(bool ok) {
    if (!ok) {
      queue_.End();
      return;
    }
    if (take_(request_, queue_)) Receive();
  }

  void Receive() {
    absl::MutexLock lock(&mu_);
    if (!finished_) this->StartRead(&request_);
  }

  void Run(const Command& command) {
    const absl::StatusOr<Digest> id = make_(command, queue_);
    {
      absl::MutexLock lock(&mu_);
      finished_ = true;
    }
    if (id.ok()) response_->set_image_id(id->ToString());
    this->Finish(ToGrpc(id.status()));
  }

  WorkerPool& jobs_;
  Response* const response_;
  const Parse parse_;
  const Make make_;
  const Take take_;
  ByteQueue queue_;
  Request request_;
  bool started_ = false;
  absl::Mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // no reads any more
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_UPLOAD_REACTOR_H_
