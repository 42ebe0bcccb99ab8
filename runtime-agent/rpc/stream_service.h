#ifndef RUNTIME_AGENT_RPC_STREAM_SERVICE_H_
#define RUNTIME_AGENT_RPC_STREAM_SERVICE_H_

#include "runtime-agent/domain/runtime.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::agent {

// slipway.agent.v1.StreamService: streams by callbacks, unary calls on threads of their own.
class StreamServiceHandler
    : public v1::StreamService::WithCallbackMethod_AttachContainer<
          v1::StreamService::WithCallbackMethod_AttachExec<v1::StreamService::Service>> {
 public:
  // `runtime` outlives the handler.
  explicit StreamServiceHandler(Runtime* runtime) : runtime_(runtime) {}

  grpc::Status ResizeTerminal(grpc::ServerContext* context,
                              const v1::ResizeTerminalRequest* request,
                              v1::ResizeTerminalResponse* response) override;
  grpc::Status FlushLog(grpc::ServerContext* context, const v1::FlushLogRequest* request,
                        v1::FlushLogResponse* response) override;
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* AttachContainer(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* AttachExec(
      grpc::CallbackServerContext* context) override;

 private:
  Runtime* const runtime_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_STREAM_SERVICE_H_
