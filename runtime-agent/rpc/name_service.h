#ifndef RUNTIME_AGENT_RPC_NAME_SERVICE_H_
#define RUNTIME_AGENT_RPC_NAME_SERVICE_H_

#include "runtime-agent/domain/runtime.h"
#include "slipway/agent/v1/name.grpc.pb.h"

namespace slipway::agent {

// slipway.agent.v1.NameService: unary calls on threads of their own.
class NameServiceHandler : public v1::NameService::Service {
 public:
  // `runtime` outlives the handler.
  explicit NameServiceHandler(Runtime* runtime) : runtime_(runtime) {}

  grpc::Status ListNames(grpc::ServerContext* context, const v1::ListNamesRequest* request,
                         v1::ListNamesResponse* response) override;
  grpc::Status UpdateHosts(grpc::ServerContext* context, const v1::UpdateHostsRequest* request,
                           v1::UpdateHostsResponse* response) override;

 private:
  Runtime* const runtime_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_NAME_SERVICE_H_
