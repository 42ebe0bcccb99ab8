#ifndef RUNTIME_AGENT_RPC_STREAM_SERVICE_H_
#define RUNTIME_AGENT_RPC_STREAM_SERVICE_H_

#include <string>
#include <utility>

#include "runtime-agent/domain/runtime.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::agent {

// slipway.agent.v1.StreamService: streams by callbacks, unary calls on threads of their own.
class StreamServiceHandler
    : public v1::StreamService::WithCallbackMethod_AttachContainer<
          v1::StreamService::WithCallbackMethod_AttachExec<
              v1::StreamService::WithCallbackMethod_WatchStats<v1::StreamService::Service>>> {
 public:
  // `runtime` outlives the handler. `image_door`: where the image service takes files
  // (base/os/descriptor_door.h).
  StreamServiceHandler(Runtime* runtime, std::string image_door)
      : runtime_(runtime), image_door_(std::move(image_door)) {}

  grpc::Status ResizeTerminal(grpc::ServerContext* context,
                              const v1::ResizeTerminalRequest* request,
                              v1::ResizeTerminalResponse* response) override;
  grpc::Status FlushLog(grpc::ServerContext* context, const v1::FlushLogRequest* request,
                        v1::FlushLogResponse* response) override;
  grpc::Status ListProcesses(grpc::ServerContext* context, const v1::ListProcessesRequest* request,
                             v1::ListProcessesResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchStatsResponse>* WatchStats(
      grpc::CallbackServerContext* context, const v1::WatchStatsRequest* request) override;
  // file_calls.cc: each keeps its thread while it runs; Runtime bounds how many do.
  grpc::Status ListChanges(grpc::ServerContext* context, const v1::ListChangesRequest* request,
                           grpc::ServerWriter<v1::ListChangesResponse>* writer) override;
  grpc::Status ExportContainer(grpc::ServerContext* context,
                               const v1::ExportContainerRequest* request,
                               grpc::ServerWriter<v1::ExportContainerResponse>* writer) override;
  grpc::Status ExportChanges(grpc::ServerContext* context, const v1::ExportChangesRequest* request,
                             grpc::ServerWriter<v1::ExportChangesResponse>* writer) override;
  grpc::Status StatPath(grpc::ServerContext* context, const v1::StatPathRequest* request,
                        v1::StatPathResponse* response) override;
  grpc::Status ReadArchive(grpc::ServerContext* context, const v1::ReadArchiveRequest* request,
                           grpc::ServerWriter<v1::ReadArchiveResponse>* writer) override;
  grpc::Status WriteArchive(grpc::ServerContext* context,
                            grpc::ServerReader<v1::WriteArchiveRequest>* reader,
                            v1::WriteArchiveResponse* response) override;
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* AttachContainer(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* AttachExec(
      grpc::CallbackServerContext* context) override;

 private:
  Runtime* const runtime_;
  const std::string image_door_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_STREAM_SERVICE_H_
