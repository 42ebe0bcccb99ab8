#ifndef SERVICES_CONTAINER_RPC_VOLUME_SERVICE_H_
#define SERVICES_CONTAINER_RPC_VOLUME_SERVICE_H_

#include "services/container/domain/core.h"
#include "slipway/container/v1/volume.grpc.pb.h"

namespace slipway::container {

// slipway.container.v1.VolumeService: what asks the host answers by callback. Thread-safe; `core`
// outlives the server.
class VolumeServiceImpl final
    : public v1::VolumeService::WithCallbackMethod_CreateVolume<
          v1::VolumeService::WithCallbackMethod_RemoveVolume<
              v1::VolumeService::WithCallbackMethod_PruneVolumes<v1::VolumeService::Service>>> {
 public:
  using Async = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit VolumeServiceImpl(Core& core) : core_(core) {}

  Reactor* CreateVolume(Async* context, const v1::CreateVolumeRequest* request,
                        v1::CreateVolumeResponse* response) override;
  Reactor* RemoveVolume(Async* context, const v1::RemoveVolumeRequest* request,
                        v1::RemoveVolumeResponse* response) override;
  Reactor* PruneVolumes(Async* context, const v1::PruneVolumesRequest* request,
                        v1::PruneVolumesResponse* response) override;
  grpc::Status GetVolume(grpc::ServerContext* context, const v1::GetVolumeRequest* request,
                         v1::GetVolumeResponse* response) override;
  grpc::Status ListVolumes(grpc::ServerContext* context, const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override;

 private:
  Core& core_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_VOLUME_SERVICE_H_
