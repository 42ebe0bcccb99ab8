#include "gateway/server.h"

#include <prometheus/gauge.h>

#include <thread>
#include <utility>
#include <vector>

#include "base/logging/logging.h"
#include "base/metrics/metrics.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "gateway/buildkit/control.h"
#include "gateway/buildkit/door.h"
#include "gateway/endpoints/docker_app.h"
#include "gateway/grpc/proxy_service.h"
#include "gateway/http/io_threads.h"
#include "gateway/http/listener.h"
#include "gateway/http/request_metrics.h"
#include "gateway/web/web_app.h"

namespace slipway::gateway {
namespace {

constexpr int kThreads = 2;
constexpr mode_t kDoorMode = 0660;

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& options)
      : backends(options.backends),
        request_metrics(*metrics.registry()),
        buildkit(backends, door.sessions, threads),
        docker(backends, door, request_metrics),
        web(backends, metrics, request_metrics),
        images(*slipway::image::v1::ListImagesRequest::descriptor()->file()->FindServiceByName(
                   "ImageService"),
               backends.image_channel(),
               {"AcquireImage", "ReleaseImage", "ListImageOwners", "HoldImages", "GetLayer",
                "ReadLayer", "StatImagePath", "ReadImageFiles"}),
        containers(*slipway::container::v1::Container::descriptor()->file()->FindServiceByName(
                       "ContainerService"),
                   backends.container_channel(), {}),
        networks(*slipway::container::v1::VirtualNetwork::descriptor()->file()->FindServiceByName(
                     "NetworkService"),
                 backends.container_channel(), {}),
        volumes(*slipway::container::v1::Volume::descriptor()->file()->FindServiceByName(
                    "VolumeService"),
                backends.container_channel(), {}),
        logs(*slipway::log::v1::LogRecord::descriptor()->file()->FindServiceByName("LogService"),
             backends.log_channel(), {"AppendLog", "GetLogPosition", "DeleteLog"}),
        builds(
            *slipway::build::v1::BuildStep::descriptor()->file()->FindServiceByName("BuildService"),
            backends.build_channel(), {}),
        streams(*slipway::agent::v1::AttachStart::descriptor()->file()->FindServiceByName(
                    "StreamService"),
                backends.agent_channel(), {}) {}

  Metrics metrics;
  Backends backends;
  RequestMetrics request_metrics;
  BuildKitDoor door;
  BuildKitControl buildkit;
  DockerApp docker;
  WebApp web;
  ProxyService images;
  ProxyService containers;
  ProxyService networks;
  ProxyService volumes;
  ProxyService logs;
  ProxyService builds;
  ProxyService streams;
  std::unique_ptr<RpcServer> native;
  IoThreads threads{kThreads};
  std::unique_ptr<Listener> docker_door;
  std::unique_ptr<Listener> web_door;
  bool stopped = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  RpcServerOptions native;
  native.listeners.push_back({.path = options.native_socket, .mode = kDoorMode});
  native.max_threads = 8;
  std::vector<grpc::Service*> services = {&impl->images,  &impl->containers, &impl->networks,
                                          &impl->volumes, &impl->logs,       &impl->builds,
                                          &impl->streams};
  for (grpc::Service* service : impl->buildkit.services()) services.push_back(service);
  ASSIGN_OR_RETURN(impl->native, RpcServer::Start(std::move(native), services, impl->metrics));
  impl->door.serve = [&server = *impl->native](UniqueFd socket) {
    server.Adopt(std::move(socket));
  };
  ASSIGN_OR_RETURN(impl->docker_door,
                   Listener::OnUnixSocket(impl->threads, options.docker_socket, kDoorMode,
                                          impl->docker, Listener::Options()));
  if (!options.http_address.empty()) {
    Listener::Options web;
    web.max_connections = 128;
    ASSIGN_OR_RETURN(impl->web_door,
                     Listener::OnTcp(impl->threads, options.http_address, impl->web, web));
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::http_port() const { return impl_->web_door == nullptr ? 0 : impl_->web_door->port(); }

Server::~Server() { Stop(); }

void Server::Stop() {
  if (impl_ == nullptr || std::exchange(impl_->stopped, true)) return;
  if (impl_->docker_door != nullptr) impl_->docker_door->Stop();
  if (impl_->web_door != nullptr) impl_->web_door->Stop();
  // It waits for calls that wait for the calls that are ended meanwhile.
  std::thread native([this] {
    if (impl_->native != nullptr) impl_->native->Shutdown(absl::Milliseconds(200));
  });
  // The coroutines that wait for a call go on, and end, before the event loop stops.
  const bool drained = impl_->backends.calls().Drain(absl::Seconds(1), absl::Seconds(2));
  native.join();
  impl_->backends.files().Stop();
  impl_->threads.Stop();
  if (!drained) {
    // A call that cannot be cancelled comes back to what must be there then.
    Log(LogLevel::kWarning, "calls did not end in time");
    (void)impl_.release();
  }
}

}  // namespace slipway::gateway
