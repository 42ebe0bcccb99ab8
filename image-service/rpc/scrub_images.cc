#include "image-service/rpc/image_service.h"
#include "image-service/rpc/job_call.h"

namespace slipway::image {

grpc::ServerUnaryReactor* ImageServiceImpl::ScrubImages(grpc::CallbackServerContext*,
                                                        const v1::ScrubImagesRequest*,
                                                        v1::ScrubImagesResponse* response) {
  return JobCall::Run(parts_.jobs, [this, response](const Cancellation& cancel) {
    const auto outcome = parts_.scrubber.Run(/*only_damaged=*/false, cancel);
    if (!outcome.ok()) return outcome.status();
    response->set_checked_layers(outcome->checked_layers);
    response->set_checked_bytes(outcome->checked_bytes);
    for (const Digest& blob : outcome->repaired) response->add_repaired(blob.ToString());
    for (const Digest& blob : outcome->damaged) response->add_damaged(blob.ToString());
    return absl::OkStatus();
  });
}

}  // namespace slipway::image
