#include "services/container/clients/agent_client.h"

#include <chrono>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rpc/channel.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "services/container/clients/pending_call.h"
#include "services/container/codec/spec_codec.h"

namespace slipway::container {
namespace {

constexpr absl::Duration kConnectWait = absl::Seconds(5);
constexpr absl::Duration kCallTime = absl::Seconds(120);
constexpr int kAttempts = 3;
constexpr absl::Duration kProbeGrace = absl::Seconds(15);

Actual GetActual(const agent::v1::ContainerActual& from) {
  Actual to;
  to.container_id = from.container_id();
  switch (from.status()) {
    case agent::v1::ContainerActual::STATUS_PREPARED:
      to.status = Actual::Status::kPrepared;
      break;
    case agent::v1::ContainerActual::STATUS_RUNNING:
      to.status = Actual::Status::kRunning;
      break;
    case agent::v1::ContainerActual::STATUS_EXITED:
      to.status = Actual::Status::kExited;
      break;
    default:
      break;
  }
  to.pid = from.pid();
  to.started_unix_ns = from.started_unix_ns();
  to.finished_unix_ns = from.finished_unix_ns();
  to.exit_code = from.exit_code();
  to.oom_killed = from.oom_killed();
  to.paused = from.paused();
  for (const auto& endpoint : from.endpoints()) {
    to.endpoints.push_back(codec::GetEndpoint(endpoint));
  }
  return to;
}

AgentEvent GetEvent(const agent::v1::WatchAgentEventsResponse& from) {
  AgentEvent to;
  to.sequence = from.sequence();
  to.time_unix_ns = from.time_unix_ns();
  switch (from.kind_case()) {
    case agent::v1::WatchAgentEventsResponse::kContainerStarted:
      to.kind = ContainerStarted{GetActual(from.container_started())};
      break;
    case agent::v1::WatchAgentEventsResponse::kContainerExited:
      to.kind = ContainerExited{GetActual(from.container_exited())};
      break;
    case agent::v1::WatchAgentEventsResponse::kExecExited:
      to.kind = ExecExited{from.exec_exited().exec_id(), from.exec_exited().container_id(),
                           from.exec_exited().exit_code()};
      break;
    case agent::v1::WatchAgentEventsResponse::kContainerRemoved:
      to.kind = ContainerRemoved{from.container_removed()};
      break;
    case agent::v1::WatchAgentEventsResponse::kContainerOutOfMemory:
      to.kind = OutOfMemory{from.container_out_of_memory()};
      break;
    default:  // a newer agent's
      break;
  }
  return to;
}

void PutAttachment(const HostAttachment& from, agent::v1::NetworkAttachment* to) {
  to->set_network_id(from.network_id);
  to->set_address(from.address);
  to->set_address6(from.address6);
  to->set_mac_address(from.mac_address);
  to->set_gateway_priority(from.gateway_priority);
  codec::PutList(from.names, to->mutable_names());
  codec::PutMap(from.links, to->mutable_links());
  codec::PutMap(from.driver_options, to->mutable_driver_options());
}

template <typename Response>
std::vector<Endpoint> GetEndpoints(const Response& response) {
  std::vector<Endpoint> endpoints;
  for (const auto& endpoint : response.endpoints()) {
    endpoints.push_back(codec::GetEndpoint(endpoint));
  }
  return endpoints;
}

void PutExecSpec(const ExecSpec& from, v1::ExecSpec* to) {
  codec::PutList(from.command, to->mutable_command());
  codec::PutList(from.env, to->mutable_env());
  to->set_working_directory(from.working_directory);
  to->set_user(from.user);
  to->set_tty(from.tty);
  to->set_attach_stdin(from.attach_stdin);
  to->set_attach_stdout(from.attach_stdout);
  to->set_attach_stderr(from.attach_stderr);
  to->set_privileged(from.privileged);
  to->set_detach_keys(from.detach_keys);
}

}  // namespace

AgentClient::AgentClient(absl::string_view address)
    : channel_(NewChannel(address)),
      stub_(agent::v1::AgentService::NewStub(channel_)),
      watch_stub_(agent::v1::AgentService::NewStub(NewChannel(address))),
      streams_(agent::v1::StreamService::NewStub(channel_)),
      names_(agent::v1::NameService::NewStub(channel_)) {}

absl::Status AgentClient::WaitForConnection() {
  const absl::Time deadline = absl::Now() + kConnectWait;
  while (channel_->GetState(true) != GRPC_CHANNEL_READY) {
    if (cancelled_ || absl::Now() >= deadline) {
      return absl::UnavailableError("the host's agent does not answer");
    }
    channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  }
  return absl::OkStatus();
}

template <typename Async, typename Request, typename Response>
absl::StatusOr<Response> AgentClient::Call(void (Async::*method)(grpc::ClientContext*,
                                                                 const Request*, Response*,
                                                                 std::function<void(grpc::Status)>),
                                           const Request& request) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    RETURN_IF_ERROR(WaitForConnection());
    PendingCall<Request, Response> call(stub_->async(), method, request, absl::Now() + kCallTime);
    status = FromGrpc(call.Finish());
    if (status.ok()) return std::move(call.response());
    if (!absl::IsUnavailable(status)) return status;
  }
  return absl::UnavailableError(
      absl::StrCat("the host's agent does not answer: ", status.message()));
}

absl::StatusOr<HostInfo> AgentClient::GetHost() {
  ASSIGN_OR_RETURN(const auto response, Call(&agent::v1::AgentService::Stub::async::GetHost,
                                             agent::v1::GetHostRequest()));
  if (response.host_id().empty()) return absl::InternalError("the agent named no host id");
  return HostInfo{response.host_id(),       response.hostname(),
                  response.cpu_count(),     response.volumes_directory(),
                  response.bridge_subnet(), response.bridge_gateway()};
}

std::function<absl::StatusOr<std::vector<std::string>>()> AgentClient::BeginPrepare(
    const PrepareCommand& command) {
  const Definition& definition = *command.definition;
  agent::v1::PrepareContainerRequest request;
  request.set_container_id(definition.id);
  request.set_name(command.name);
  request.set_sandbox_id(command.join_sandbox_id);
  codec::PutSpec(definition.spec, request.mutable_spec());
  request.mutable_spec()->clear_client_data();
  codec::PutList(definition.effective.volumes, [&request] {
    request.mutable_spec()->clear_volumes();
    return request.mutable_spec()->mutable_volumes();
  }());
  codec::PutList(definition.effective.exposed_ports, [&request] {
    request.mutable_spec()->clear_exposed_ports();
    return request.mutable_spec()->mutable_exposed_ports();
  }());
  request.add_argv(definition.path);
  for (const std::string& argument : definition.args) request.add_argv(argument);
  codec::PutList(definition.process_env, request.mutable_env());
  request.set_working_directory(definition.effective.working_directory);
  request.set_user(definition.effective.user);
  codec::PutList(command.layer_diff_ids, request.mutable_layer_diff_ids());
  request.set_hostname(definition.hostname);
  for (const auto& [key, value] : definition.effective.labels) {
    (*request.mutable_labels())[key] = value;
  }
  request.set_image_id(definition.image_id);
  request.set_created_unix_ns(definition.created_unix_ns);
  using Stub = agent::v1::AgentService::Stub;
  if (const absl::Status connected = WaitForConnection(); !connected.ok()) {
    return [connected] { return connected; };
  }
  auto pending =
      BeginCall(stub_->async(), &Stub::async::PrepareContainer, request, absl::Now() + kCallTime);
  return [this, pending, request]() -> absl::StatusOr<std::vector<std::string>> {
    const absl::Status status = FromGrpc(pending->Finish());
    if (status.ok()) return codec::GetList(pending->response().warnings());
    if (!absl::IsUnavailable(status)) return status;
    ASSIGN_OR_RETURN(const auto response, Call(&Stub::async::PrepareContainer, request));
    return codec::GetList(response.warnings());
  };
}

absl::StatusOr<StartResult> AgentClient::Start(const std::string& container_id,
                                               const StartExtras& extras) {
  agent::v1::StartContainerRequest request;
  request.set_container_id(container_id);
  codec::PutList(extras.extra_hosts, request.mutable_extra_hosts());
  codec::PutList(extras.env, request.mutable_env());
  request.set_last_started_unix_ns(extras.last_started_unix_ns);
  request.set_attachments_given(true);
  for (const HostAttachment& attachment : extras.attachments) {
    PutAttachment(attachment, request.add_attachments());
  }
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::StartContainer, request));
  return StartResult{.pid = response.pid(),
                     .started_unix_ns = response.started_unix_ns(),
                     .endpoints = GetEndpoints(response),
                     .was_running = response.was_running()};
}

absl::Status AgentClient::PutNetwork(const VirtualNetwork& network, bool refuse_overlap) {
  agent::v1::PutNetworkRequest request;
  codec::PutVirtualNetwork(network, request.mutable_network());
  request.set_refuse_overlap(refuse_overlap);
  return Call(&agent::v1::AgentService::Stub::async::PutNetwork, request).status();
}

absl::Status AgentClient::RemoveNetwork(const std::string& network_id) {
  agent::v1::RemoveNetworkRequest request;
  request.set_network_id(network_id);
  return Call(&agent::v1::AgentService::Stub::async::RemoveNetwork, request).status();
}

absl::StatusOr<std::vector<std::string>> AgentClient::ListNetworks() {
  ASSIGN_OR_RETURN(const auto response, Call(&agent::v1::AgentService::Stub::async::ListNetworks,
                                             agent::v1::ListNetworksRequest()));
  return codec::GetList(response.network_ids());
}

absl::StatusOr<std::vector<Endpoint>> AgentClient::Connect(const std::string& container_id,
                                                           const HostAttachment& attachment) {
  agent::v1::ConnectContainerRequest request;
  request.set_container_id(container_id);
  PutAttachment(attachment, request.mutable_attachment());
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::ConnectContainer, request));
  return GetEndpoints(response);
}

absl::StatusOr<std::vector<Endpoint>> AgentClient::Disconnect(const std::string& container_id,
                                                              const std::string& network_id) {
  agent::v1::DisconnectContainerRequest request;
  request.set_container_id(container_id);
  request.set_network_id(network_id);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::DisconnectContainer, request));
  return GetEndpoints(response);
}

absl::Status AgentClient::UpdateHosts(const std::string& container_id,
                                      const std::vector<std::string>& extra_hosts) {
  RETURN_IF_ERROR(WaitForConnection());
  agent::v1::UpdateHostsRequest request;
  request.set_container_id(container_id);
  codec::PutList(extra_hosts, request.mutable_extra_hosts());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTime));
  agent::v1::UpdateHostsResponse response;
  return FromGrpc(names_->UpdateHosts(&context, request, &response));
}

// What the list of containers does not say. An agent of a former version does not either.
void AgentClient::AddNames(ActualList& list) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTime));
  agent::v1::ListNamesResponse response;
  if (!names_->ListNames(&context, agent::v1::ListNamesRequest(), &response).ok()) return;
  absl::flat_hash_map<absl::string_view, Actual*> by_id;
  for (Actual& actual : list.containers) by_id[actual.container_id] = &actual;
  for (const agent::v1::EndpointNames& endpoint : response.endpoints()) {
    const auto found = by_id.find(endpoint.container_id());
    if (found == by_id.end()) continue;
    found->second->names[endpoint.network_id()] = codec::GetList(endpoint.names());
  }
}

absl::StatusOr<bool> AgentClient::Signal(const std::string& container_id, int signal) {
  agent::v1::SignalContainerRequest request;
  request.set_container_id(container_id);
  request.set_signal_number(signal);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::SignalContainer, request));
  return response.was_running();
}

absl::Status AgentClient::Remove(const std::string& container_id) {
  agent::v1::RemoveContainerRequest request;
  request.set_container_id(container_id);
  return Call(&agent::v1::AgentService::Stub::async::RemoveContainer, request).status();
}

absl::Status AgentClient::Pause(const std::string& container_id) {
  agent::v1::PauseContainerRequest request;
  request.set_container_id(container_id);
  return Call(&agent::v1::AgentService::Stub::async::PauseContainer, request).status();
}

absl::Status AgentClient::Unpause(const std::string& container_id) {
  agent::v1::UnpauseContainerRequest request;
  request.set_container_id(container_id);
  return Call(&agent::v1::AgentService::Stub::async::UnpauseContainer, request).status();
}

absl::StatusOr<std::vector<std::string>> AgentClient::Update(const std::string& container_id,
                                                             const Resources& resources) {
  agent::v1::UpdateContainerRequest request;
  request.set_container_id(container_id);
  codec::PutResources(resources, request.mutable_resources());
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::UpdateContainer, request));
  return codec::GetList(response.warnings());
}

absl::StatusOr<int64_t> AgentClient::Measure(const std::string& container_id) {
  agent::v1::MeasureContainerRequest request;
  request.set_container_id(container_id);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::MeasureContainer, request));
  return response.written_bytes();
}

absl::Status AgentClient::CreateVolume(const std::string& name, const VolumeSource& source) {
  agent::v1::CreateVolumeRequest request;
  request.set_name(name);
  request.set_type(source.type);
  request.set_device(source.device);
  request.set_mount_options(source.mount_options);
  request.set_size_bytes(source.size_bytes);
  return Call(&agent::v1::AgentService::Stub::async::CreateVolume, request).status();
}

absl::Status AgentClient::RemoveVolume(const std::string& name) {
  agent::v1::RemoveVolumeRequest request;
  request.set_name(name);
  return Call(&agent::v1::AgentService::Stub::async::RemoveVolume, request).status();
}

absl::StatusOr<std::vector<std::string>> AgentClient::ListVolumes() {
  ASSIGN_OR_RETURN(const auto response, Call(&agent::v1::AgentService::Stub::async::ListVolumes,
                                             agent::v1::ListVolumesRequest()));
  return codec::GetList(response.names());
}

absl::StatusOr<std::vector<int64_t>> AgentClient::MeasureVolumes(
    const std::vector<std::string>& names) {
  agent::v1::MeasureVolumesRequest request;
  codec::PutList(names, request.mutable_names());
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::MeasureVolumes, request));
  return std::vector<int64_t>(response.sizes_bytes().begin(), response.sizes_bytes().end());
}

void AgentClient::RunProbe(const ProbeCommand& command,
                           std::function<void(absl::StatusOr<ProbeResult>)> done) {
  struct State {
    grpc::ClientContext context;
    agent::v1::RunProbeRequest request;
    agent::v1::RunProbeResponse response;
  };
  auto state = std::make_shared<State>();
  state->context.set_deadline(absl::ToChronoTime(absl::Now() + command.timeout + kProbeGrace));
  agent::v1::RunProbeRequest& request = state->request;
  request.set_exec_id(command.exec.exec_id);
  request.set_container_id(command.exec.container_id);
  PutExecSpec(command.exec.spec, request.mutable_spec());
  codec::PutList(command.exec.env, request.mutable_env());
  request.set_user(command.exec.user);
  request.set_working_directory(command.exec.working_directory);
  request.set_timeout_ns(absl::ToInt64Nanoseconds(command.timeout));
  request.set_output_limit_bytes(static_cast<int64_t>(command.output_limit_bytes));
  stub_->async()->RunProbe(&state->context, &state->request, &state->response,
                           [state, done = std::move(done)](const grpc::Status& status) {
                             if (!status.ok()) return done(FromGrpc(status));
                             agent::v1::RunProbeResponse& response = state->response;
                             done(ProbeResult{.exit_code = response.exit_code(),
                                              .output = std::move(*response.mutable_output()),
                                              .timed_out = response.timed_out(),
                                              .started_unix_ns = response.started_unix_ns(),
                                              .finished_unix_ns = response.finished_unix_ns()});
                           });
}

absl::StatusOr<ActualList> AgentClient::List() {
  ASSIGN_OR_RETURN(const auto response, Call(&agent::v1::AgentService::Stub::async::ListContainers,
                                             agent::v1::ListContainersRequest()));
  ActualList list;
  list.sequence = response.sequence();
  for (const auto& container : response.containers()) {
    list.containers.push_back(GetActual(container));
  }
  AddNames(list);
  return list;
}

absl::StatusOr<int64_t> AgentClient::StartExec(const ExecCommand& command) {
  agent::v1::StartExecRequest request;
  request.set_exec_id(command.exec_id);
  request.set_container_id(command.container_id);
  PutExecSpec(command.spec, request.mutable_spec());
  codec::PutList(command.env, request.mutable_env());
  request.set_user(command.user);
  request.set_working_directory(command.working_directory);
  request.set_detach(command.detach);
  request.mutable_terminal_size()->set_rows(command.terminal_size.rows);
  request.mutable_terminal_size()->set_columns(command.terminal_size.columns);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::StartExec, request));
  return response.pid();
}

absl::StatusOr<ExecStatus> AgentClient::GetExec(const std::string& exec_id) {
  agent::v1::GetExecRequest request;
  request.set_exec_id(exec_id);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&agent::v1::AgentService::Stub::async::GetExec, request));
  ExecStatus status{.container_id = response.container_id(),
                    .running = response.running(),
                    .pid = response.pid()};
  if (response.has_exit_code()) status.exit_code = response.exit_code();
  return status;
}

absl::Status AgentClient::ExportChanges(const std::string& container_id, const TarSink& sink) {
  RETURN_IF_ERROR(WaitForConnection());
  grpc::ClientContext context;
  agent::v1::ExportChangesRequest request;
  request.set_container_id(container_id);
  request.set_to_image_service(true);
  const auto reader = streams_->ExportChanges(&context, request);
  agent::v1::ExportChangesResponse response;
  absl::Status taken;
  while (taken.ok() && reader->Read(&response)) {
    taken = sink({.bytes = std::move(*response.mutable_data()),
                  .pipe = std::move(*response.mutable_pipe())});
  }
  if (!taken.ok()) context.TryCancel();
  const absl::Status finished = FromGrpc(reader->Finish());
  return taken.ok() ? finished : taken;
}

absl::Status AgentClient::Watch(uint64_t after_sequence,
                                const std::function<void(const AgentEvent&)>& on_event) {
  grpc::ClientContext context;
  {
    absl::MutexLock lock(&mu_);
    if (cancelled_) return absl::CancelledError("the watch was cancelled");
    watch_ = &context;
  }
  agent::v1::WatchAgentEventsRequest request;
  request.set_after_sequence(after_sequence);
  const auto reader = watch_stub_->WatchAgentEvents(&context, request);
  agent::v1::WatchAgentEventsResponse response;
  while (reader->Read(&response)) on_event(GetEvent(response));
  const absl::Status status = FromGrpc(reader->Finish());
  absl::MutexLock lock(&mu_);
  watch_ = nullptr;
  if (status.ok()) return absl::UnavailableError("the agent ended its stream of events");
  return status;
}

void AgentClient::CancelWatch() {
  absl::MutexLock lock(&mu_);
  cancelled_ = true;
  if (watch_ != nullptr) watch_->TryCancel();
}

}  // namespace slipway::container
