#include "services/build/clients/volume_client.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

namespace pb = slipway::container::v1;

// Sizes of large volumes take a while.
constexpr absl::Duration kCallTime = absl::Minutes(5);

void Prepare(grpc::ClientContext& context) {
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTime));
}

}  // namespace

absl::StatusOr<std::vector<CacheVolume>> VolumeClient::List() {
  grpc::ClientContext context;
  Prepare(context);
  pb::ListVolumesRequest request;
  request.set_with_size(true);
  request.add_names(kCacheVolumePrefix);
  pb::ListVolumesResponse response;
  RETURN_IF_ERROR(FromGrpc(stub_->ListVolumes(&context, request, &response)));
  std::vector<CacheVolume> volumes;
  for (const pb::Volume& volume : response.volumes()) {
    // The filter takes it anywhere in a name.
    if (!absl::StartsWith(volume.name(), kCacheVolumePrefix)) continue;
    volumes.push_back({.name = volume.name(),
                       .size_bytes = volume.size_bytes(),
                       .created_unix_ns = volume.created_unix_ns(),
                       .in_use = volume.container_ids_size() > 0});
  }
  return volumes;
}

absl::Status VolumeClient::Remove(const std::string& name) {
  grpc::ClientContext context;
  Prepare(context);
  pb::RemoveVolumeRequest request;
  request.set_name(name);
  pb::RemoveVolumeResponse response;
  return FromGrpc(stub_->RemoveVolume(&context, request, &response));
}

}  // namespace slipway::build
