#include "services/container/rpc/container_service.h"

#include <optional>
#include <utility>

#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "services/container/codec/spec_codec.h"
#include "services/container/domain/verbs.h"
#include "services/container/rpc/event_stream.h"
#include "services/container/rpc/unary_call.h"
#include "services/container/rpc/wait_stream.h"
#include "services/container/rpc/wire_codec.h"

namespace slipway::container {
namespace {

constexpr size_t kMaximumBacklog = 8192;

namespace verbs = ::slipway::container;
using Call = std::shared_ptr<UnaryCall>;

DoneStatus EndOf(const Call& call) {
  return [call](const absl::Status& status) { call->End(status); };
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

// Links are kept by id, which no rename changes, and shown by name.
void NameLinks(Core& core, v1::Container& container) {
  for (v1::Attachment& attachment :
       *container.mutable_spec()->mutable_network()->mutable_attachments()) {
    for (std::string& link : *attachment.mutable_links()) {
      const size_t colon = link.find(':');
      const EntryPtr linked = core.table().FindById(link.substr(0, colon));
      if (linked != nullptr) link = linked->snapshot()->name + link.substr(colon);
    }
  }
}

// Asks the host for each: what goes away meanwhile has no size.
grpc::ByteBuffer EncodeWithSizes(Core& core, const std::vector<ContainerPtr>& containers) {
  v1::ListContainersResponse response;
  for (const ContainerPtr& container : containers) {
    v1::Container* to = response.add_containers();
    PutContainer(*container, false, to);
    if (const auto size = MeasureContainer(core, *container); size.ok()) PutSize(*size, to);
  }
  grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

template <typename Operation>
grpc::ServerUnaryReactor* ContainerServiceImpl::Answer(Operation operation) {
  const Call call = UnaryCall::New();
  if (core_.executor().backlog() < kMaximumBacklog) {
    operation(call);
  } else {
    call->End(absl::ResourceExhaustedError("too many operations are waiting"));
  }
  return call.get();
}

grpc::ServerUnaryReactor* ContainerServiceImpl::CreateContainer(
    Async*, const v1::CreateContainerRequest* request, v1::CreateContainerResponse* response) {
  return Answer([&](const Call& call) {
    CreateCommand command{.name = request->name(),
                          .spec = codec::GetSpec(request->spec()),
                          .host_id = request->host_id()};
    verbs::CreateContainer(core_, std::move(command),
                           [call, response](absl::StatusOr<CreateResult> result) {
                             call->End(result.status(), [&] {
                               response->set_id(result->id);
                               codec::PutList(result->warnings, response->mutable_warnings());
                             });
                           });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StartContainer(
    Async*, const v1::StartContainerRequest* request, v1::StartContainerResponse* response) {
  return Answer([&](const Call& call) {
    verbs::StartContainer(core_, request->container(), [call, response](absl::StatusOr<bool> was) {
      call->End(was.status(), [&] { response->set_was_running(*was); });
    });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StopContainer(
    Async*, const v1::StopContainerRequest* request, v1::StopContainerResponse* response) {
  return Answer([&](const Call& call) {
    verbs::StopContainer(core_, GetStop(request->container(), *request),
                         [call, response](absl::StatusOr<bool> was) {
                           call->End(was.status(), [&] { response->set_was_stopped(*was); });
                         });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RestartContainer(
    Async*, const v1::RestartContainerRequest* request, v1::RestartContainerResponse*) {
  return Answer([&](const Call& call) {
    verbs::RestartContainer(core_, GetStop(request->container(), *request), EndOf(call));
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::KillContainer(
    Async*, const v1::KillContainerRequest* request, v1::KillContainerResponse*) {
  return Answer([&](const Call& call) {
    verbs::KillContainer(core_, request->container(), request->signal(), EndOf(call));
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RemoveContainer(
    Async*, const v1::RemoveContainerRequest* request, v1::RemoveContainerResponse*) {
  return Answer([&](const Call& call) {
    verbs::RemoveContainer(core_, request->container(),
                           {.force = request->force(), .volumes = request->remove_volumes()},
                           EndOf(call));
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::RenameContainer(
    Async*, const v1::RenameContainerRequest* request, v1::RenameContainerResponse*) {
  return Answer([&](const Call& call) {
    verbs::RenameContainer(core_, request->container(), request->name(), EndOf(call));
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::PauseContainer(
    Async*, const v1::PauseContainerRequest* request, v1::PauseContainerResponse*) {
  return Answer(
      [&](const Call& call) { verbs::PauseContainer(core_, request->container(), EndOf(call)); });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::UnpauseContainer(
    Async*, const v1::UnpauseContainerRequest* request, v1::UnpauseContainerResponse*) {
  return Answer(
      [&](const Call& call) { verbs::UnpauseContainer(core_, request->container(), EndOf(call)); });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::UpdateContainer(
    Async*, const v1::UpdateContainerRequest* request, v1::UpdateContainerResponse* response) {
  return Answer([&](const Call& call) {
    verbs::UpdateContainer(core_, GetUpdate(*request),
                           [call, response](absl::StatusOr<std::vector<std::string>> warnings) {
                             call->End(warnings.status(), [&] {
                               codec::PutList(*warnings, response->mutable_warnings());
                             });
                           });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::PruneContainers(
    Async*, const v1::PruneContainersRequest* request, v1::PruneContainersResponse* response) {
  return Answer([&](const Call& call) {
    verbs::PruneContainers(
        core_, GetPrune(*request), [call, response](absl::StatusOr<PruneResult> result) {
          call->End(result.status(), [&] {
            codec::PutList(result->container_ids, response->mutable_container_ids());
            response->set_freed_bytes(result->freed_bytes);
          });
        });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::CommitContainer(
    Async*, const v1::CommitContainerRequest* request, v1::CommitContainerResponse* response) {
  return Answer([&](const Call& call) {
    CommitCommand command{.reference = request->container(),
                          .image_reference = request->reference(),
                          .author = request->author(),
                          .message = request->message(),
                          .pause = request->pause(),
                          .created_by = request->created_by(),
                          .created_unix_ns = request->created_unix_ns(),
                          .latest_mtime_unix_s = request->latest_mtime_unix_s()};
    if (request->has_config()) command.config = codec::GetImageConfig(request->config());
    verbs::CommitContainer(core_, std::move(command),
                           [call, response](absl::StatusOr<std::string> id) {
                             call->End(id.status(), [&] { response->set_image_id(*id); });
                           });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::ListContainers(Async*,
                                                               const grpc::ByteBuffer* request,
                                                               grpc::ByteBuffer* response) {
  return Answer([&](const Call& call) {
    v1::ListContainersRequest parsed;
    grpc::ByteBuffer bytes = *request;
    const grpc::Status good =
        grpc::SerializationTraits<v1::ListContainersRequest>::Deserialize(&bytes, &parsed);
    if (!good.ok()) return call->End(FromGrpc(good));
    core_.executor().Post([this, call, response, parsed = std::move(parsed)] {
      const auto listed = verbs::ListContainers(core_, GetListQuery(parsed));
      if (!listed.ok()) return call->End(listed.status());
      grpc::ByteBuffer encoded = parsed.with_size()
                                     ? EncodeWithSizes(core_, *listed)
                                     : list_encoder_.Encode(*listed, core_.table().size());
      call->End(absl::OkStatus(), [&] { response->Swap(&encoded); });
    });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::StartExec(Async*,
                                                          const v1::StartExecRequest* request,
                                                          v1::StartExecResponse* response) {
  return Answer([&](const Call& call) {
    StartExecCommand command{.exec_id = request->exec_id(),
                             .detach = request->detach(),
                             .terminal_size = TerminalSize{request->terminal_size().rows(),
                                                           request->terminal_size().columns()}};
    verbs::StartExec(core_, std::move(command),
                     [call, response](absl::StatusOr<StartExecResult> result) {
                       call->End(result.status(), [&] {
                         response->set_container_id(result->container_id);
                         response->set_host_id(result->host_id);
                       });
                     });
  });
}

grpc::ServerUnaryReactor* ContainerServiceImpl::GetExec(Async*, const v1::GetExecRequest* request,
                                                        v1::GetExecResponse* response) {
  return Answer([&](const Call& call) {
    verbs::GetExec(core_, request->exec_id(), [call, response](absl::StatusOr<ExecRecord> record) {
      call->End(record.status(), [&] { PutExec(*record, response); });
    });
  });
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
  NameLinks(core_, *response->mutable_container());
  codec::PutList(core_.execs().LiveOf(container->id()),
                 response->mutable_container()->mutable_exec_ids());
  if (!request->with_size()) return grpc::Status::OK;
  const absl::StatusOr<ContainerSize> size = MeasureContainer(core_, *container);
  if (size.ok()) PutSize(*size, response->mutable_container());
  return ToGrpc(size.status());
}

grpc::Status ContainerServiceImpl::RecordAccess(grpc::ServerContext*,
                                                const v1::RecordAccessRequest* request,
                                                v1::RecordAccessResponse*) {
  absl::StatusOr<Access> access = GetAccess(*request);
  if (!access.ok()) return ToGrpc(access.status());
  return ToGrpc(verbs::RecordAccess(core_, request->container(), access->action,
                                    std::move(access->attributes)));
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
