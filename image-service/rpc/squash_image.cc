#include "image-service/rpc/job_call.h"

namespace slipway::image {

grpc::ServerUnaryReactor* ImageServiceImpl::SquashImage(grpc::CallbackServerContext*,
                                                        const v1::SquashImageRequest* request,
                                                        v1::SquashImageResponse* response) {
  return JobCall::Run(parts_.jobs, [this, request, response](const Cancellation&) -> absl::Status {
    const absl::StatusOr<Digest> id =
        parts_.committer.Squash({.image = request->image(),
                                 .ancestor = request->ancestor(),
                                 .hold = request->hold(),
                                 .created_unix_ns = request->created_unix_ns()});
    if (id.ok()) response->set_image_id(id->ToString());
    return id.status();
  });
}

}  // namespace slipway::image
