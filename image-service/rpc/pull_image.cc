#include <memory>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"
#include "image-service/rpc/message_writer.h"

namespace slipway::image {
namespace {

// One PullImage call: the pull runs in a job, the stream in gRPC's threads. Deletes itself.
class PullReactor : public grpc::ServerWriteReactor<v1::PullImageResponse>, public PullObserver {
 public:
  PullReactor() : writer_(this) {}

  void Begin(const ImageServiceParts& parts, const v1::PullImageRequest& request) {
    auto reference = ImageReference::Parse(request.reference());
    if (!reference.ok()) {
      writer_.Finish(ToGrpc(reference.status()));
      return;
    }
    PullCommand command{*std::move(reference), FromMessage(request.auth()),
                        FromMessage(request.platform()), request.all_tags()};
    Puller& puller = parts.puller;
    const bool scheduled = parts.jobs.TrySchedule([this, &puller, command = std::move(command)] {
      writer_.Finish(ToGrpc(puller.Pull(command, *this, cancel_)));
    });
    if (!scheduled) {
      writer_.Finish(ToGrpc(TooManyJobs()));
    }
  }

  void OnStatus(absl::string_view text, absl::string_view id) override {
    v1::PullImageResponse message;
    message.mutable_status()->set_text(std::string(text));
    message.mutable_status()->set_id(std::string(id));
    writer_.Write(std::move(message), /*may_be_lost=*/false);
  }

  void OnLayer(const LayerProgress& progress) override {
    v1::PullImageResponse message;
    *message.mutable_layer() = ToMessage(progress);
    writer_.Write(std::move(message), progress.phase == LayerPhase::kDownloading);
  }

  void OnPulled(const PullOutcome& outcome) override {
    v1::PullImageResponse message;
    v1::PullDone* done = message.mutable_done();
    done->set_image_id(outcome.image_id.ToString());
    done->set_manifest_digest(outcome.manifest_digest.ToString());
    done->set_was_up_to_date(outcome.was_up_to_date);
    done->set_reference(outcome.reference);
    writer_.Write(std::move(message), /*may_be_lost=*/false);
  }

  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnCancel() override { cancel_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  MessageWriter<PullReactor, v1::PullImageResponse> writer_;
  Cancellation cancel_;
};

}  // namespace

grpc::ServerWriteReactor<v1::PullImageResponse>* ImageServiceImpl::PullImage(
    grpc::CallbackServerContext*, const v1::PullImageRequest* request) {
  auto* reactor = new PullReactor();
  reactor->Begin(parts_, *request);
  return reactor;
}

}  // namespace slipway::image
