#include "services/container/rpc/container_service.h"

#include <optional>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "services/container/codec/spec_codec.h"
#include "services/container/domain/verbs.h"
#include "services/container/rpc/event_stream.h"
#include "services/container/rpc/wait_stream.h"
#include "services/container/rpc/wire_codec.h"

namespace slipway::container {
namespace {

constexpr size_t kMaximumBacklog = 8192;

DoneStatus FinishWith(grpc::ServerUnaryReactor* reactor) {
  return [reactor](const absl::Status& status) { reactor->Finish(ToGrpc(status)); };
}

// A stream that only has an error to tell.
template <typename Response>
class FailedStream : public grpc::ServerWriteReactor<Response> {
 public:
  explicit FailedStream(const absl::Status& status) { this->Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

StopCommand GetStop(const std::string& reference, const auto& request) {
  StopCommand command{.reference = reference, .signal = request.signal()};
  if (request.has_timeout_seconds()) command.timeout_seconds = request.timeout_seconds();
  return command;
}

}  // namespace

bool ContainerServiceImpl::Overloaded(Reactor* reactor) {
  if (core_.executor().backlog() < kMaximumBacklog) return false;
  reactor->Finish(ToGrpc(absl::ResourceExhaustedError("too many operations are waiting")));
  return true;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::CreateContainer(
    Async* context, const v1::CreateContainerRequest* request,
    v1::CreateContainerResponse* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::CreateContainer(core_,
                                        CreateCommand{.name = request->name(),
                                                      .spec = codec::GetSpec(request->spec()),
                                                      .host_id = request->host_id()},
                                        [reactor, response](absl::StatusOr<CreateResult> result) {
                                          if (result.ok()) {
                                            response->set_id(result->id);
                                            codec::PutList(result->warnings,
                                                           response->mutable_warnings());
                                          }
                                          reactor->Finish(ToGrpc(result.status()));
                                        });
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StartContainer(
    Async* context, const v1::StartContainerRequest* request,
    v1::StartContainerResponse* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::StartContainer(core_, request->container(),
                                       [reactor, response](absl::StatusOr<bool> was_running) {
                                         response->set_was_running(was_running.value_or(false));
                                         reactor->Finish(ToGrpc(was_running.status()));
                                       });
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StopContainer(
    Async* context, const v1::StopContainerRequest* request, v1::StopContainerResponse* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::StopContainer(core_, GetStop(request->container(), *request),
                                      [reactor, response](absl::StatusOr<bool> was_stopped) {
                                        response->set_was_stopped(was_stopped.value_or(false));
                                        reactor->Finish(ToGrpc(was_stopped.status()));
                                      });
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RestartContainer(
    Async* context, const v1::RestartContainerRequest* request, v1::RestartContainerResponse*) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::RestartContainer(core_, GetStop(request->container(), *request),
                                         FinishWith(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::KillContainer(
    Async* context, const v1::KillContainerRequest* request, v1::KillContainerResponse*) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::KillContainer(core_, request->container(), request->signal(),
                                      FinishWith(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RemoveContainer(
    Async* context, const v1::RemoveContainerRequest* request, v1::RemoveContainerResponse*) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::RemoveContainer(core_, request->container(), request->force(),
                                        FinishWith(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RenameContainer(
    Async* context, const v1::RenameContainerRequest* request, v1::RenameContainerResponse*) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::RenameContainer(core_, request->container(), request->name(),
                                        FinishWith(reactor));
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::ListContainers(Async* context,
                                                               const grpc::ByteBuffer* request,
                                                               grpc::ByteBuffer* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  v1::ListContainersRequest parsed;
  grpc::ByteBuffer bytes = *request;
  const grpc::Status good =
      grpc::SerializationTraits<v1::ListContainersRequest>::Deserialize(&bytes, &parsed);
  if (!good.ok()) {
    reactor->Finish(good);
    return reactor;
  }
  core_.executor().Post([this, reactor, response, parsed = std::move(parsed)] {
    const auto listed = ::slipway::container::ListContainers(core_, GetListQuery(parsed));
    if (listed.ok()) *response = list_encoder_.Encode(*listed, core_.table().size());
    reactor->Finish(ToGrpc(listed.status()));
  });
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StartExec(Async* context,
                                                          const v1::StartExecRequest* request,
                                                          v1::StartExecResponse* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::StartExec(
      core_,
      StartExecCommand{.exec_id = request->exec_id(),
                       .detach = request->detach(),
                       .terminal_size = TerminalSize{request->terminal_size().rows(),
                                                     request->terminal_size().columns()}},
      [reactor, response](absl::StatusOr<StartExecResult> result) {
        if (result.ok()) {
          response->set_container_id(result->container_id);
          response->set_host_id(result->host_id);
        }
        reactor->Finish(ToGrpc(result.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* ContainerServiceImpl::GetExec(Async* context,
                                                        const v1::GetExecRequest* request,
                                                        v1::GetExecResponse* response) {
  Reactor* reactor = context->DefaultReactor();
  if (Overloaded(reactor)) return reactor;
  ::slipway::container::GetExec(core_, request->exec_id(),
                                [reactor, response](absl::StatusOr<ExecRecord> record) {
                                  if (record.ok()) PutExec(*record, response);
                                  reactor->Finish(ToGrpc(record.status()));
                                });
  return reactor;
}

grpc::ServerWriteReactor<v1::WaitContainerResponse>* ContainerServiceImpl::WaitContainer(
    Async*, const v1::WaitContainerRequest* request) {
  absl::StatusOr<EntryPtr> entry = core_.table().Find(request->container());
  if (!entry.ok()) return new FailedStream<v1::WaitContainerResponse>(entry.status());
  return WaitStream::Begin(*std::move(entry), GetCondition(request->condition()));
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* ContainerServiceImpl::WatchEvents(
    Async*, const v1::WatchEventsRequest* request) {
  return EventStream::Begin(core_, *request);
}

grpc::Status ContainerServiceImpl::GetContainer(grpc::ServerContext*,
                                                const v1::GetContainerRequest* request,
                                                v1::GetContainerResponse* response) {
  const absl::StatusOr<EntryPtr> entry = core_.table().Find(request->container());
  if (!entry.ok()) return ToGrpc(entry.status());
  const ContainerPtr container = (*entry)->snapshot();
  PutContainer(*container, true, response->mutable_container());
  codec::PutList(core_.execs().LiveOf(container->id()),
                 response->mutable_container()->mutable_exec_ids());
  return grpc::Status::OK;
}

grpc::Status ContainerServiceImpl::CreateExec(grpc::ServerContext*,
                                              const v1::CreateExecRequest* request,
                                              v1::CreateExecResponse* response) {
  const absl::StatusOr<std::string> id =
      ::slipway::container::CreateExec(core_, request->container(), GetExecSpec(request->spec()));
  if (id.ok()) response->set_exec_id(*id);
  return ToGrpc(id.status());
}

grpc::Status ContainerServiceImpl::GetVersion(grpc::ServerContext*,
                                              const slipway::common::v1::GetVersionRequest*,
                                              slipway::common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

}  // namespace slipway::container
