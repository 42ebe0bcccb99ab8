#ifndef RUNTIME_AGENT_RPC_AGENT_SERVICE_H_
#define RUNTIME_AGENT_RPC_AGENT_SERVICE_H_

#include <string>

#include "runtime-agent/domain/runtime.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::agent {

// slipway.agent.v1.AgentService: unary calls on threads of their own, the watch by callbacks.
class AgentServiceHandler
    : public v1::AgentService::WithCallbackMethod_RunProbe<
          v1::AgentService::WithCallbackMethod_WatchAgentEvents<v1::AgentService::Service>> {
 public:
  // `runtime` outlives the handler.
  AgentServiceHandler(Runtime* runtime, std::string root)
      : runtime_(runtime), root_(std::move(root)) {}

  grpc::Status PrepareContainer(grpc::ServerContext* context,
                                const v1::PrepareContainerRequest* request,
                                v1::PrepareContainerResponse* response) override;
  grpc::Status StartContainer(grpc::ServerContext* context,
                              const v1::StartContainerRequest* request,
                              v1::StartContainerResponse* response) override;
  grpc::Status SignalContainer(grpc::ServerContext* context,
                               const v1::SignalContainerRequest* request,
                               v1::SignalContainerResponse* response) override;
  grpc::Status RemoveContainer(grpc::ServerContext* context,
                               const v1::RemoveContainerRequest* request,
                               v1::RemoveContainerResponse* response) override;
  grpc::Status ListContainers(grpc::ServerContext* context,
                              const v1::ListContainersRequest* request,
                              v1::ListContainersResponse* response) override;
  grpc::Status PauseContainer(grpc::ServerContext* context,
                              const v1::PauseContainerRequest* request,
                              v1::PauseContainerResponse* response) override;
  grpc::Status UnpauseContainer(grpc::ServerContext* context,
                                const v1::UnpauseContainerRequest* request,
                                v1::UnpauseContainerResponse* response) override;
  grpc::Status UpdateContainer(grpc::ServerContext* context,
                               const v1::UpdateContainerRequest* request,
                               v1::UpdateContainerResponse* response) override;
  grpc::Status MeasureContainer(grpc::ServerContext* context,
                                const v1::MeasureContainerRequest* request,
                                v1::MeasureContainerResponse* response) override;
  grpc::Status PutNetwork(grpc::ServerContext* context, const v1::PutNetworkRequest* request,
                          v1::PutNetworkResponse* response) override;
  grpc::Status RemoveNetwork(grpc::ServerContext* context, const v1::RemoveNetworkRequest* request,
                             v1::RemoveNetworkResponse* response) override;
  grpc::Status ListNetworks(grpc::ServerContext* context, const v1::ListNetworksRequest* request,
                            v1::ListNetworksResponse* response) override;
  grpc::Status ConnectContainer(grpc::ServerContext* context,
                                const v1::ConnectContainerRequest* request,
                                v1::ConnectContainerResponse* response) override;
  grpc::Status DisconnectContainer(grpc::ServerContext* context,
                                   const v1::DisconnectContainerRequest* request,
                                   v1::DisconnectContainerResponse* response) override;
  grpc::Status CreateVolume(grpc::ServerContext* context, const v1::CreateVolumeRequest* request,
                            v1::CreateVolumeResponse* response) override;
  grpc::Status RemoveVolume(grpc::ServerContext* context, const v1::RemoveVolumeRequest* request,
                            v1::RemoveVolumeResponse* response) override;
  grpc::Status ListVolumes(grpc::ServerContext* context, const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override;
  grpc::Status MeasureVolumes(grpc::ServerContext* context,
                              const v1::MeasureVolumesRequest* request,
                              v1::MeasureVolumesResponse* response) override;
  grpc::Status StartExec(grpc::ServerContext* context, const v1::StartExecRequest* request,
                         v1::StartExecResponse* response) override;
  grpc::Status GetExec(grpc::ServerContext* context, const v1::GetExecRequest* request,
                       v1::GetExecResponse* response) override;
  grpc::Status GetHost(grpc::ServerContext* context, const v1::GetHostRequest* request,
                       v1::GetHostResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const common::v1::GetVersionRequest* request,
                          common::v1::GetVersionResponse* response) override;
  grpc::ServerUnaryReactor* RunProbe(grpc::CallbackServerContext* context,
                                     const v1::RunProbeRequest* request,
                                     v1::RunProbeResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchAgentEventsResponse>* WatchAgentEvents(
      grpc::CallbackServerContext* context, const v1::WatchAgentEventsRequest* request) override;

 private:
  Runtime* const runtime_;
  const std::string root_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_AGENT_SERVICE_H_
