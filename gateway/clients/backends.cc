#include "gateway/clients/backends.h"

#include "base/os/descriptor_door.h"
#include "base/rpc/channel.h"

namespace slipway::gateway {

Backends::Backends(const Addresses& addresses)
    : image_channel_(NewChannel(addresses.image)),
      container_channel_(NewChannel(addresses.container)),
      log_channel_(NewChannel(addresses.log)),
      agent_channel_(NewChannel(addresses.agent)),
      build_channel_(NewChannel(addresses.build)),
      image_(slipway::image::v1::ImageService::NewStub(image_channel_)),
      container_(slipway::container::v1::ContainerService::NewStub(container_channel_)),
      networks_(slipway::container::v1::NetworkService::NewStub(container_channel_)),
      volume_(slipway::container::v1::VolumeService::NewStub(container_channel_)),
      log_(slipway::log::v1::LogService::NewStub(log_channel_)),
      stream_(slipway::agent::v1::StreamService::NewStub(agent_channel_)),
      build_(slipway::build::v1::BuildService::NewStub(build_channel_)),
      stats_(stream_->async(), calls_),
      files_(addresses.files),
      build_door_(DescriptorDoorPath(addresses.build)) {}

}  // namespace slipway::gateway
