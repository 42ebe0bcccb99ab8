#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"
#include "image-service/rpc/byte_queue.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"
#include "image-service/rpc/message_writer.h"

namespace slipway::image {
namespace {

// One LoadImage call. A read is outstanding whenever the queue has room. Deletes itself, after the
// job has finished the call.
class LoadReactor : public grpc::ServerBidiReactor<v1::LoadImageRequest, v1::LoadImageResponse>,
                    public ProgressObserver {
 public:
  LoadReactor() : writer_(this), queue_([this] { Receive(); }) {}

  void Begin(const ImageServiceParts& parts) {
    Loader& loader = parts.loader;
    if (!parts.jobs.TrySchedule([this, &loader] { Run(loader); })) {
      writer_.Finish(ToGrpc(TooManyJobs()));
      return;
    }
    Receive();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      queue_.End();
      return;
    }
    if (queue_.Push(std::move(*request_.mutable_data()))) Receive();
  }
  void OnStatus(absl::string_view, absl::string_view) override {}
  void OnLayer(const LayerProgress& progress) override {
    v1::LoadImageResponse message;
    *message.mutable_layer() = ToMessage(progress);
    writer_.Write(std::move(message), /*may_be_lost=*/true);
  }
  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnCancel() override { queue_.Abort(); }
  void OnDone() override { delete this; }

 private:
  void Receive() {
    absl::MutexLock lock(&mu_);
    if (!finished_) StartRead(&request_);
  }

  void Run(Loader& loader) {
    const auto loaded = loader.Load(queue_, *this);
    {
      absl::MutexLock lock(&mu_);
      finished_ = true;
    }
    if (loaded.ok()) {
      for (const LoadedName& name : *loaded) {
        v1::LoadImageResponse message;
        message.mutable_loaded()->set_image_id(name.image_id.ToString());
        message.mutable_loaded()->set_reference(name.reference);
        writer_.Write(std::move(message), /*may_be_lost=*/false);
      }
    }
    writer_.Finish(ToGrpc(loaded.status()));
  }

  MessageWriter<LoadReactor, v1::LoadImageResponse> writer_;
  ByteQueue queue_;
  v1::LoadImageRequest request_;
  absl::Mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // no reads any more
};

}  // namespace

grpc::ServerBidiReactor<v1::LoadImageRequest, v1::LoadImageResponse>* ImageServiceImpl::LoadImage(
    grpc::CallbackServerContext*) {
  auto* reactor = new LoadReactor();
  reactor->Begin(parts_);
  return reactor;
}

}  // namespace slipway::image
