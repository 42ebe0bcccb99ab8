#include "runtime-agent/rpc/agent_service.h"

#include <memory>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "runtime-agent/rpc/convert.h"
#include "runtime-agent/rpc/event_watch.h"
#include "runtime-agent/rpc/host_facts.h"
#include "runtime-agent/rpc/probe_call.h"

namespace slipway::agent {

grpc::Status AgentServiceHandler::PrepareContainer(grpc::ServerContext*,
                                                   const v1::PrepareContainerRequest* request,
                                                   v1::PrepareContainerResponse* response) {
  const auto warnings = runtime_->Prepare(FromWire(*request));
  if (!warnings.ok()) return ToGrpc(warnings.status());
  for (const std::string& warning : *warnings) response->add_warnings(warning);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::StartContainer(grpc::ServerContext*,
                                                 const v1::StartContainerRequest* request,
                                                 v1::StartContainerResponse* response) {
  StartCommand command{
      .id = request->container_id(),
      .extra_hosts = {request->extra_hosts().begin(), request->extra_hosts().end()},
      .env = {request->env().begin(), request->env().end()}};
  if (request->has_last_started_unix_ns()) {
    command.last_started_ns = request->last_started_unix_ns();
  }
  if (request->attachments_given()) {
    command.attachments.emplace();
    for (const v1::NetworkAttachment& attachment : request->attachments()) {
      command.attachments->push_back(FromWire(attachment));
    }
  }
  const auto outcome = runtime_->StartContainer(command);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  v1::ContainerActual actual = ToWire(outcome->report);
  response->set_pid(actual.pid());
  response->set_started_unix_ns(actual.started_unix_ns());
  *response->mutable_endpoints() = std::move(*actual.mutable_endpoints());
  response->set_was_running(outcome->was_running);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::SignalContainer(grpc::ServerContext*,
                                                  const v1::SignalContainerRequest* request,
                                                  v1::SignalContainerResponse* response) {
  const auto was_running = runtime_->Signal(request->container_id(), request->signal_number());
  if (!was_running.ok()) return ToGrpc(was_running.status());
  response->set_was_running(*was_running);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::RemoveContainer(grpc::ServerContext*,
                                                  const v1::RemoveContainerRequest* request,
                                                  v1::RemoveContainerResponse*) {
  return ToGrpc(runtime_->Remove(request->container_id()));
}

grpc::Status AgentServiceHandler::ListContainers(grpc::ServerContext*,
                                                 const v1::ListContainersRequest*,
                                                 v1::ListContainersResponse* response) {
  const auto [reports, sequence] = runtime_->List();
  for (const ContainerReport& report : reports) *response->add_containers() = ToWire(report);
  response->set_sequence(sequence);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::PauseContainer(grpc::ServerContext*,
                                                 const v1::PauseContainerRequest* request,
                                                 v1::PauseContainerResponse*) {
  return ToGrpc(runtime_->Pause(request->container_id()));
}

grpc::Status AgentServiceHandler::UnpauseContainer(grpc::ServerContext*,
                                                   const v1::UnpauseContainerRequest* request,
                                                   v1::UnpauseContainerResponse*) {
  return ToGrpc(runtime_->Unpause(request->container_id()));
}

grpc::Status AgentServiceHandler::UpdateContainer(grpc::ServerContext*,
                                                  const v1::UpdateContainerRequest* request,
                                                  v1::UpdateContainerResponse* response) {
  const auto warnings =
      runtime_->UpdateLimits(request->container_id(), FromWire(request->resources()));
  if (!warnings.ok()) return ToGrpc(warnings.status());
  for (const std::string& warning : *warnings) response->add_warnings(warning);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::MeasureContainer(grpc::ServerContext*,
                                                   const v1::MeasureContainerRequest* request,
                                                   v1::MeasureContainerResponse* response) {
  const auto bytes = runtime_->Measure(request->container_id());
  if (bytes.ok()) response->set_written_bytes(*bytes);
  return ToGrpc(bytes.status());
}

grpc::Status AgentServiceHandler::PutNetwork(grpc::ServerContext*,
                                             const v1::PutNetworkRequest* request,
                                             v1::PutNetworkResponse*) {
  return ToGrpc(runtime_->PutNetwork(FromWire(request->network()), request->refuse_overlap()));
}

grpc::Status AgentServiceHandler::RemoveNetwork(grpc::ServerContext*,
                                                const v1::RemoveNetworkRequest* request,
                                                v1::RemoveNetworkResponse*) {
  return ToGrpc(runtime_->RemoveNetwork(request->network_id()));
}

grpc::Status AgentServiceHandler::ListNetworks(grpc::ServerContext*, const v1::ListNetworksRequest*,
                                               v1::ListNetworksResponse* response) {
  for (const std::string& id : runtime_->ListNetworks()) response->add_network_ids(id);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::ConnectContainer(grpc::ServerContext*,
                                                   const v1::ConnectContainerRequest* request,
                                                   v1::ConnectContainerResponse* response) {
  const auto report =
      runtime_->ConnectNetwork(request->container_id(), FromWire(request->attachment()));
  if (report.ok()) response->mutable_endpoints()->Swap(ToWire(*report).mutable_endpoints());
  return ToGrpc(report.status());
}

grpc::Status AgentServiceHandler::DisconnectContainer(grpc::ServerContext*,
                                                      const v1::DisconnectContainerRequest* request,
                                                      v1::DisconnectContainerResponse* response) {
  const auto report = runtime_->DisconnectNetwork(request->container_id(), request->network_id());
  if (report.ok()) response->mutable_endpoints()->Swap(ToWire(*report).mutable_endpoints());
  return ToGrpc(report.status());
}

grpc::Status AgentServiceHandler::CreateVolume(grpc::ServerContext*,
                                               const v1::CreateVolumeRequest* request,
                                               v1::CreateVolumeResponse*) {
  return ToGrpc(
      runtime_->volumes().Create(request->name(), {.type = request->type(),
                                                   .device = request->device(),
                                                   .mount_options = request->mount_options(),
                                                   .size_bytes = request->size_bytes()}));
}

grpc::Status AgentServiceHandler::RemoveVolume(grpc::ServerContext*,
                                               const v1::RemoveVolumeRequest* request,
                                               v1::RemoveVolumeResponse*) {
  return ToGrpc(runtime_->RemoveVolume(request->name()));
}

grpc::Status AgentServiceHandler::ListVolumes(grpc::ServerContext*, const v1::ListVolumesRequest*,
                                              v1::ListVolumesResponse* response) {
  for (std::string& name : runtime_->volumes().List()) response->add_names(std::move(name));
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::MeasureVolumes(grpc::ServerContext*,
                                                 const v1::MeasureVolumesRequest* request,
                                                 v1::MeasureVolumesResponse* response) {
  for (const std::string& name : request->names()) {
    response->add_sizes_bytes(runtime_->volumes().Measure(name));
  }
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* AgentServiceHandler::RunProbe(grpc::CallbackServerContext*,
                                                        const v1::RunProbeRequest* request,
                                                        v1::RunProbeResponse* response) {
  return ProbeCall::Start(runtime_, *request, response);
}

grpc::Status AgentServiceHandler::StartExec(grpc::ServerContext*,
                                            const v1::StartExecRequest* request,
                                            v1::StartExecResponse* response) {
  const auto pid = runtime_->StartExec(FromWire(*request));
  if (!pid.ok()) return ToGrpc(pid.status());
  response->set_pid(*pid);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::GetExec(grpc::ServerContext*, const v1::GetExecRequest* request,
                                          v1::GetExecResponse* response) {
  const auto status = runtime_->GetExec(request->exec_id());
  if (!status.ok()) return ToGrpc(status.status());
  response->set_running(status->running);
  if (status->exit_code.has_value()) response->set_exit_code(*status->exit_code);
  response->set_pid(status->pid);
  response->set_container_id(status->container_id);
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::GetHost(grpc::ServerContext*, const v1::GetHostRequest*,
                                          v1::GetHostResponse* response) {
  *response = DescribeHost(runtime_->cgroup_version());
  response->set_host_id(runtime_->host_id());
  if (runtime_->remaps_users()) response->add_security_options("name=userns");
  response->set_root_directory(root_);
  response->set_volumes_directory(runtime_->volumes_directory());
  response->set_bridge_subnet(runtime_->bridge_subnet());
  response->set_bridge_gateway(runtime_->bridge_gateway());
  return grpc::Status::OK;
}

grpc::Status AgentServiceHandler::GetVersion(grpc::ServerContext*,
                                             const common::v1::GetVersionRequest*,
                                             common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<v1::WatchAgentEventsResponse>* AgentServiceHandler::WatchAgentEvents(
    grpc::CallbackServerContext*, const v1::WatchAgentEventsRequest* request) {
  return EventWatch::Start(&runtime_->events(), &runtime_->loop(), request->after_sequence());
}

}  // namespace slipway::agent
