#ifndef SERVICES_CONTAINER_RPC_CONTAINER_SERVICE_H_
#define SERVICES_CONTAINER_RPC_CONTAINER_SERVICE_H_

#include "services/container/domain/core.h"
#include "services/container/rpc/list_encoder.h"
#include "slipway/container/v1/container.grpc.pb.h"

namespace slipway::container {

namespace internal {

// What asks the agent, waits or may be queued behind another operation answers by callback, and
// holds no thread of the server's meanwhile. The list goes out as bytes that are encoded already.
using Service = v1::ContainerService;
using Streams = Service::WithCallbackMethod_WaitContainer<
    Service::WithCallbackMethod_WatchEvents<Service::Service>>;
using Execs = Service::WithCallbackMethod_StartExec<Service::WithCallbackMethod_GetExec<Streams>>;
using Changes =
    Service::WithCallbackMethod_CreateContainer<Service::WithCallbackMethod_StartContainer<
        Service::WithCallbackMethod_StopContainer<Service::WithCallbackMethod_RestartContainer<
            Service::WithCallbackMethod_KillContainer<Service::WithCallbackMethod_RemoveContainer<
                Service::WithCallbackMethod_RenameContainer<Execs>>>>>>>;
using Upkeep = Service::WithCallbackMethod_PauseContainer<
    Service::WithCallbackMethod_UnpauseContainer<Service::WithCallbackMethod_UpdateContainer<
        Service::WithCallbackMethod_PruneContainers<Changes>>>>;
using Images = Service::WithCallbackMethod_CommitContainer<Upkeep>;
using Base = Service::WithRawCallbackMethod_ListContainers<Images>;

}  // namespace internal

// The wire side of the use cases: parses, calls, converts. Thread-safe; `core` outlives the server.
class ContainerServiceImpl final : public internal::Base {
 public:
  using Async = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit ContainerServiceImpl(Core& core) : core_(core) {}

  Reactor* CreateContainer(Async* context, const v1::CreateContainerRequest* request,
                           v1::CreateContainerResponse* response) override;
  Reactor* StartContainer(Async* context, const v1::StartContainerRequest* request,
                          v1::StartContainerResponse* response) override;
  Reactor* StopContainer(Async* context, const v1::StopContainerRequest* request,
                         v1::StopContainerResponse* response) override;
  Reactor* RestartContainer(Async* context, const v1::RestartContainerRequest* request,
                            v1::RestartContainerResponse* response) override;
  Reactor* KillContainer(Async* context, const v1::KillContainerRequest* request,
                         v1::KillContainerResponse* response) override;
  Reactor* RemoveContainer(Async* context, const v1::RemoveContainerRequest* request,
                           v1::RemoveContainerResponse* response) override;
  Reactor* RenameContainer(Async* context, const v1::RenameContainerRequest* request,
                           v1::RenameContainerResponse* response) override;
  Reactor* PauseContainer(Async* context, const v1::PauseContainerRequest* request,
                          v1::PauseContainerResponse* response) override;
  Reactor* UnpauseContainer(Async* context, const v1::UnpauseContainerRequest* request,
                            v1::UnpauseContainerResponse* response) override;
  Reactor* UpdateContainer(Async* context, const v1::UpdateContainerRequest* request,
                           v1::UpdateContainerResponse* response) override;
  Reactor* PruneContainers(Async* context, const v1::PruneContainersRequest* request,
                           v1::PruneContainersResponse* response) override;
  Reactor* CommitContainer(Async* context, const v1::CommitContainerRequest* request,
                           v1::CommitContainerResponse* response) override;
  Reactor* ListContainers(Async* context, const grpc::ByteBuffer* request,
                          grpc::ByteBuffer* response) override;
  Reactor* StartExec(Async* context, const v1::StartExecRequest* request,
                     v1::StartExecResponse* response) override;
  Reactor* GetExec(Async* context, const v1::GetExecRequest* request,
                   v1::GetExecResponse* response) override;
  grpc::ServerWriteReactor<v1::WaitContainerResponse>* WaitContainer(
      Async* context, const v1::WaitContainerRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
      Async* context, const v1::WatchEventsRequest* request) override;

  grpc::Status GetContainer(grpc::ServerContext* context, const v1::GetContainerRequest* request,
                            v1::GetContainerResponse* response) override;
  grpc::Status RecordAccess(grpc::ServerContext* context, const v1::RecordAccessRequest* request,
                            v1::RecordAccessResponse* response) override;
  grpc::Status CreateExec(grpc::ServerContext* context, const v1::CreateExecRequest* request,
                          v1::CreateExecResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const slipway::common::v1::GetVersionRequest* request,
                          slipway::common::v1::GetVersionResponse* response) override;

 private:
  // Runs `operation` with a call that it ends. More calls than could be worked off in a sensible
  // time are refused at the door.
  template <typename Operation>
  Reactor* Answer(Operation operation);

  Core& core_;
  ListEncoder list_encoder_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_CONTAINER_SERVICE_H_
