#include "runtime-agent/clients/image_client.h"

#include <grpcpp/client_context.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/rpc/status_conversion.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::agent {

absl::StatusOr<std::string> ImageClient::LayerPath(const std::string& diff_id) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  context.set_wait_for_ready(true);  // it may be in the middle of a restart
  image::v1::GetLayerRequest request;
  request.set_diff_id(diff_id);
  image::v1::GetLayerResponse response;
  const grpc::Status status =
      image::v1::ImageService::NewStub(channel_)->GetLayer(&context, request, &response);
  if (!status.ok()) {
    const absl::Status error = FromGrpc(status);
    return absl::Status(error.code(), absl::StrCat("find layer ", diff_id, ": ", error.message()));
  }
  if (response.local_path().empty() || response.local_path()[0] != '/') {
    return absl::InternalError(absl::StrCat("layer ", diff_id, " has no path on this host"));
  }
  return response.local_path();
}

}  // namespace slipway::agent
