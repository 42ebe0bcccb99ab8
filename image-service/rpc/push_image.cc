#include <utility>

#include "base/rpc/status_conversion.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"
#include "image-service/rpc/message_writer.h"

namespace slipway::image {
namespace {

// One PushImage call: the push runs in a job, the stream in gRPC's threads. Deletes itself.
class PushReactor : public grpc::ServerWriteReactor<v1::PushImageResponse>, public PushObserver {
 public:
  PushReactor() : writer_(this) {}

  void Begin(const ImageServiceParts& parts, const v1::PushImageRequest& request) {
    auto reference = ImageReference::Parse(request.reference());
    if (!reference.ok()) {
      writer_.Finish(ToGrpc(reference.status()));
      return;
    }
    PushCommand command{*std::move(reference), request.all_tags(), FromMessage(request.auth())};
    Pusher& pusher = parts.pusher;
    const bool scheduled = parts.jobs.TrySchedule([this, &pusher, command = std::move(command)] {
      writer_.Finish(ToGrpc(pusher.Push(command, *this, cancel_)));
    });
    if (!scheduled) writer_.Finish(ToGrpc(TooManyJobs()));
  }

  void OnStatus(absl::string_view text, absl::string_view id) override {
    v1::PushImageResponse message;
    message.mutable_status()->set_text(std::string(text));
    message.mutable_status()->set_id(std::string(id));
    writer_.Write(std::move(message), /*may_be_lost=*/false);
  }

  void OnLayer(const LayerProgress& progress) override {
    v1::PushImageResponse message;
    *message.mutable_layer() = ToMessage(progress);
    writer_.Write(std::move(message), progress.phase == LayerPhase::kPushing);
  }

  void OnPushed(const PushedTag& pushed) override {
    v1::PushImageResponse message;
    message.mutable_done()->set_tag(pushed.tag);
    message.mutable_done()->set_manifest_digest(pushed.manifest_digest.ToString());
    message.mutable_done()->set_manifest_size_bytes(pushed.manifest_size_bytes);
    writer_.Write(std::move(message), /*may_be_lost=*/false);
  }

  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnCancel() override { cancel_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  MessageWriter<PushReactor, v1::PushImageResponse> writer_;
  Cancellation cancel_;
};

}  // namespace

grpc::ServerWriteReactor<v1::PushImageResponse>* ImageServiceImpl::PushImage(
    grpc::CallbackServerContext*, const v1::PushImageRequest* request) {
  auto* reactor = new PushReactor();
  reactor->Begin(parts_, *request);
  return reactor;
}

}  // namespace slipway::image
