#ifndef GATEWAY_CLIENTS_BACKENDS_H_
#define GATEWAY_CLIENTS_BACKENDS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <utility>

#include "gateway/clients/call.h"
#include "gateway/clients/context_file.h"
#include "gateway/clients/stats_hub.h"
#include "slipway/agent/v1/agent.grpc.pb.h"
#include "slipway/build/v1/build.grpc.pb.h"
#include "slipway/container/v1/container.grpc.pb.h"
#include "slipway/container/v1/network.grpc.pb.h"
#include "slipway/container/v1/volume.grpc.pb.h"
#include "slipway/image/v1/image.grpc.pb.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::gateway {

using ImageCalls = slipway::image::v1::ImageService::StubInterface::async_interface;
using ContainerCalls = slipway::container::v1::ContainerService::StubInterface::async_interface;
using BuildCalls = slipway::build::v1::BuildService::StubInterface::async_interface;
using NetworkCalls = slipway::container::v1::NetworkService::StubInterface::async_interface;
using VolumeCalls = slipway::container::v1::VolumeService::StubInterface::async_interface;
using LogCalls = slipway::log::v1::LogService::StubInterface::async_interface;
using StreamCalls = slipway::agent::v1::StreamService::StubInterface::async_interface;

// The services behind the gateway. Channels connect when first used. Thread-safe.
class Backends {
 public:
  struct Addresses {
    std::string image;
    std::string container;
    std::string log;
    std::string agent;
    std::string build;
    std::string files;  // directory for contexts of builds; empty: they go by bytes
  };

  explicit Backends(const Addresses& addresses);

  ImageCalls* image() { return image_->async(); }
  ContainerCalls* container() { return container_->async(); }
  NetworkCalls* networks() { return networks_->async(); }
  VolumeCalls* volume() { return volume_->async(); }
  LogCalls* log() { return log_->async(); }
  BuildCalls* build() { return build_->async(); }
  StreamCalls* stream() { return stream_->async(); }

  const std::shared_ptr<grpc::Channel>& image_channel() const { return image_channel_; }
  const std::shared_ptr<grpc::Channel>& container_channel() const { return container_channel_; }
  const std::shared_ptr<grpc::Channel>& log_channel() const { return log_channel_; }
  const std::shared_ptr<grpc::Channel>& agent_channel() const { return agent_channel_; }

  const std::shared_ptr<grpc::Channel>& build_channel() const { return build_channel_; }

  CallTracker& calls() { return calls_; }
  StatsHub& stats() { return stats_; }
  FilePlace& files() { return files_; }
  // Where the build service takes files.
  const std::string& build_door() const { return build_door_; }

  // `co_await backends.Call(backends.image(), &ImageCalls::GetImage, request, options)`.
  template <typename Calls, typename Request, typename Response>
  Awaitable<absl::StatusOr<Response>> Call(Calls* stub,
                                           void (Calls::*method)(grpc::ClientContext*,
                                                                 const Request*, Response*,
                                                                 std::function<void(grpc::Status)>),
                                           Request request, CallOptions options) {
    return Invoke(calls_, stub, method, std::move(request), std::move(options));
  }

  template <typename Calls, typename Request, typename Response>
  ReadStream<Request, Response> Read(Calls* stub,
                                     void (Calls::*method)(grpc::ClientContext*, const Request*,
                                                           grpc::ClientReadReactor<Response>*),
                                     Request request, const CallOptions& options) {
    return OpenRead(calls_, stub, method, std::move(request), options);
  }

  template <typename Calls, typename Request, typename Response>
  BidiStream<Request, Response> Bidi(
      Calls* stub,
      void (Calls::*method)(grpc::ClientContext*, grpc::ClientBidiReactor<Request, Response>*),
      const CallOptions& options) {
    return OpenBidi(calls_, stub, method, options);
  }

 private:
  CallTracker calls_;
  const std::shared_ptr<grpc::Channel> image_channel_;
  const std::shared_ptr<grpc::Channel> container_channel_;
  const std::shared_ptr<grpc::Channel> log_channel_;
  const std::shared_ptr<grpc::Channel> agent_channel_;
  const std::shared_ptr<grpc::Channel> build_channel_;
  const std::unique_ptr<slipway::image::v1::ImageService::StubInterface> image_;
  const std::unique_ptr<slipway::container::v1::ContainerService::StubInterface> container_;
  const std::unique_ptr<slipway::container::v1::NetworkService::StubInterface> networks_;
  const std::unique_ptr<slipway::container::v1::VolumeService::StubInterface> volume_;
  const std::unique_ptr<slipway::log::v1::LogService::StubInterface> log_;
  const std::unique_ptr<slipway::agent::v1::StreamService::StubInterface> stream_;
  const std::unique_ptr<slipway::build::v1::BuildService::StubInterface> build_;
  StatsHub stats_;
  FilePlace files_;
  const std::string build_door_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_BACKENDS_H_
