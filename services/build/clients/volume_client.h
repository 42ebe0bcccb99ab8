#ifndef SERVICES_BUILD_CLIENTS_VOLUME_CLIENT_H_
#define SERVICES_BUILD_CLIENTS_VOLUME_CLIENT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "services/build/ports/volumes.h"
#include "slipway/container/v1/volume.grpc.pb.h"

namespace slipway::build {

// Through the container service. Thread-safe.
class VolumeClient : public Volumes {
 public:
  explicit VolumeClient(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(container::v1::VolumeService::NewStub(channel)) {}

  absl::StatusOr<std::vector<CacheVolume>> List() override;
  absl::Status Remove(const std::string& name) override;

 private:
  const std::unique_ptr<container::v1::VolumeService::Stub> stub_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_VOLUME_CLIENT_H_
