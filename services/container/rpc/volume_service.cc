#include "services/container/rpc/volume_service.h"

#include <optional>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "services/container/codec/spec_codec.h"
#include "services/container/domain/volumes.h"
#include "services/container/rpc/unary_call.h"

namespace slipway::container {
namespace {

namespace verbs = ::slipway::container;
using Call = std::shared_ptr<UnaryCall>;

void PutVolume(const UsedVolume& from, const HostInfo& host, std::optional<int64_t> size,
               v1::Volume* to) {
  const Volume& volume = *from.volume;
  to->set_name(volume.name);
  to->set_driver(volume.driver);
  codec::PutMap(volume.labels, to->mutable_labels());
  codec::PutMap(volume.options, to->mutable_options());
  to->set_created_unix_ns(volume.created_unix_ns);
  to->set_host_id(volume.host_id);
  to->set_mountpoint(MountpointOf(host, volume.name));
  to->set_anonymous(volume.anonymous);
  codec::PutList(from.users, to->mutable_container_ids());
  if (size.has_value()) to->set_size_bytes(*size);
}

}  // namespace

grpc::ServerUnaryReactor* VolumeServiceImpl::CreateVolume(Async*,
                                                          const v1::CreateVolumeRequest* request,
                                                          v1::CreateVolumeResponse* response) {
  const Call call = UnaryCall::New();
  verbs::CreateVolume(core_,
                      {.name = request->name(),
                       .driver = request->driver(),
                       .labels = codec::GetMap(request->labels()),
                       .options = codec::GetMap(request->options())},
                      [this, call, response](const absl::StatusOr<UsedVolume>& made) {
                        call->End(made.status(), [&] {
                          PutVolume(*made, core_.host(), {}, response->mutable_volume());
                        });
                      });
  return call.get();
}

grpc::ServerUnaryReactor* VolumeServiceImpl::RemoveVolume(Async*,
                                                          const v1::RemoveVolumeRequest* request,
                                                          v1::RemoveVolumeResponse*) {
  const Call call = UnaryCall::New();
  verbs::RemoveVolume(core_, request->name(), request->force(),
                      [call](const absl::Status& status) { call->End(status); });
  return call.get();
}

grpc::ServerUnaryReactor* VolumeServiceImpl::PruneVolumes(Async*,
                                                          const v1::PruneVolumesRequest* request,
                                                          v1::PruneVolumesResponse* response) {
  const Call call = UnaryCall::New();
  verbs::PruneVolumes(core_,
                      {.all = request->all(),
                       .labels = codec::GetList(request->labels()),
                       .not_labels = codec::GetList(request->not_labels())},
                      [call, response](const absl::StatusOr<PruneVolumesResult>& pruned) {
                        call->End(pruned.status(), [&] {
                          codec::PutList(pruned->names, response->mutable_names());
                          response->set_freed_bytes(pruned->freed_bytes);
                        });
                      });
  return call.get();
}

grpc::Status VolumeServiceImpl::GetVolume(grpc::ServerContext*, const v1::GetVolumeRequest* request,
                                          v1::GetVolumeResponse* response) {
  const absl::StatusOr<UsedVolume> found = verbs::GetVolume(core_, request->name());
  if (!found.ok()) return ToGrpc(found.status());
  std::optional<int64_t> size;
  if (request->with_size()) {
    const auto sizes = MeasureVolumes(core_, {*found});
    if (!sizes.ok()) return ToGrpc(sizes.status());
    size = sizes->front();
  }
  PutVolume(*found, core_.host(), size, response->mutable_volume());
  return grpc::Status::OK;
}

grpc::Status VolumeServiceImpl::ListVolumes(grpc::ServerContext*,
                                            const v1::ListVolumesRequest* request,
                                            v1::ListVolumesResponse* response) {
  VolumeQuery query{.names = codec::GetList(request->names()),
                    .labels = codec::GetList(request->labels()),
                    .not_labels = codec::GetList(request->not_labels())};
  if (request->has_dangling()) query.dangling = request->dangling();
  const std::vector<UsedVolume> listed = verbs::ListVolumes(core_, query);
  std::vector<std::optional<int64_t>> sizes(listed.size());
  if (request->with_size()) {
    auto measured = MeasureVolumes(core_, listed);
    if (!measured.ok()) return ToGrpc(measured.status());
    sizes = *std::move(measured);
  }
  const HostInfo host = core_.host();
  for (size_t i = 0; i < listed.size(); ++i) {
    PutVolume(listed[i], host, sizes[i], response->add_volumes());
  }
  return grpc::Status::OK;
}

}  // namespace slipway::container
