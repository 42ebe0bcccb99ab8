#include "runtime-agent/server.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/metrics/metrics.h"
#include "base/os/descriptor_door.h"
#include "base/os/file.h"
#include "base/rpc/channel.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "runtime-agent/clients/image_client.h"
#include "runtime-agent/clients/log_client.h"
#include "runtime-agent/clients/prometheus_observer.h"
#include "runtime-agent/clients/supervisor_process.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/kernel/layer_mounts.h"
#include "runtime-agent/network/bridge_network.h"
#include "runtime-agent/rpc/agent_service.h"
#include "runtime-agent/rpc/name_service.h"
#include "runtime-agent/rpc/stream_service.h"
#include "runtime-agent/seccomp/compiler.h"
#include "runtime-agent/store/rocksdb_store.h"
#include "runtime-agent/streams/io_loop.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kShutdownGrace = absl::Milliseconds(200);

// The first address of the subnet, which the bridge has.
std::string BridgeGatewayOf(const std::string& subnet) {
  const std::string network = subnet.substr(0, subnet.find('/'));
  const size_t dot = network.rfind('.');
  if (dot == std::string::npos) return "";
  return absl::StrCat(network.substr(0, dot + 1), std::stoi(network.substr(dot + 1)) + 1);
}

// The image service's, where both have their state below one directory, as deploy/up has it.
std::string LayerDirectoryOf(const std::string& root) {
  return absl::StrCat(root.substr(0, root.rfind('/')), "/image/layers");
}

void Revive(const ServerOptions& options) {
  Log(LogLevel::kWarning, "no supervisor and no keeper any more; starting new ones");
  const absl::Status started =
      EnsureSupervisor(options.supervisor, options.service.run_dir, options.service.root);
  if (!started.ok()) Log(LogLevel::kError, started.message());
}

}  // namespace

absl::Status RunServer(const ServerOptions& options) {
  const ServiceOptions& service = options.service;
  Metrics metrics;
  PrometheusObserver observer(metrics);
  RETURN_IF_ERROR(MakeDirectories(service.run_dir, 0755));
  RETURN_IF_ERROR(EnsureSupervisor(options.supervisor, service.run_dir, service.root));

  ASSIGN_OR_RETURN(const std::unique_ptr<RocksdbStore> store,
                   RocksdbStore::Open(absl::StrCat(service.root, "/db")));
  if (!options.host_id.empty()) RETURN_IF_ERROR(store->SaveHostId(options.host_id));
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> cgroups,
                   DetectCgroupDriver({.prefix = options.cgroup_parent}));
  ASSIGN_OR_RETURN(const std::unique_ptr<NetworkDriver> network,
                   NewBridgeNetwork({.prefix = service.prefix,
                                     .subnet = options.bridge_subnet,
                                     .ready_connected = options.ready_sandboxes,
                                     .ready_isolated = options.ready_sandboxes}));
  LayerMounts layer_mounts({.stage = absl::StrCat(service.root, "/stage")});
  LibseccompCompiler seccomp;
  ASSIGN_OR_RETURN(const std::unique_ptr<IoLoop> loop, IoLoop::Start());

  ImageClient images(NewChannel(options.image_socket));
  std::string host_id;
  LogClient log(NewChannel(options.log_socket), [&host_id] { return host_id; });
  ASSIGN_OR_RETURN(
      const std::unique_ptr<Runtime> runtime,
      Runtime::Start({.store = store.get(),
                      .layers = &images,
                      .log = &log,
                      .seccomp = &seccomp,
                      .observer = &observer,
                      .cgroups = cgroups.get(),
                      .network = network.get(),
                      .layer_mounts = &layer_mounts,
                      .loop = loop.get(),
                      .host_id = &host_id},
                     {.root = service.root,
                      .supervisor_socket = absl::StrCat(service.run_dir, "/supervisor.sock"),
                      .bridge_subnet = options.bridge_subnet,
                      .gateway = BridgeGatewayOf(options.bridge_subnet),
                      .archiver = options.archiver,
                      .dns = options.dns,
                      .cgroup_parent = options.cgroup_parent,
                      .remap = options.remap,
                      .layer_directory = LayerDirectoryOf(service.root),
                      .fail_start_at_file = options.fail_start_at_file,
                      .ready_runs = options.ready_runs,
                      .revive_supervisor = [&options] { Revive(options); }}));
  observer.Watch(runtime.get(), cgroups.get());

  AgentServiceHandler agent(runtime.get(), service.root);
  StreamServiceHandler streams(runtime.get(), DescriptorDoorPath(options.image_socket));
  NameServiceHandler names(runtime.get());
  RpcServerOptions rpc;
  rpc.listeners.push_back({.path = service.socket, .owner = options.socket_owner});
  ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server,
                   RpcServer::Start(std::move(rpc), {&agent, &streams, &names}, metrics));
  RETURN_IF_ERROR(metrics.Serve(service.metrics_address));
  Log(LogLevel::kInfo, "serving",
      {{"socket", service.socket}, {"host_id", host_id}, {"cgroups", cgroups->version()}});
  WaitForTermination();
  server->Shutdown(kShutdownGrace);
  observer.Watch(nullptr, nullptr);
  return absl::OkStatus();
}

}  // namespace slipway::agent
