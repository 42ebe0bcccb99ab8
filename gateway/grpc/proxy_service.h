#ifndef GATEWAY_GRPC_PROXY_SERVICE_H_
#define GATEWAY_GRPC_PROXY_SERVICE_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/service_type.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace slipway::gateway {

// Forwards every method of one service to a channel without looking into the messages: metadata,
// deadline, cancellation, trailing metadata and status go through, and a slow reader on either
// side slows the other down. Registered like any service, so that reflection and health know it.
// Thread-safe; outlives the server it is registered with.
class ProxyService : public grpc::Service {
 public:
  // `internal_methods` are for the platform itself: clients get PermissionDenied.
  ProxyService(const google::protobuf::ServiceDescriptor& service,
               const std::shared_ptr<grpc::Channel>& channel,
               const std::vector<std::string>& internal_methods);

 private:
  grpc::GenericStub stub_;
  std::deque<std::string> paths_;  // "/package.Service/Method"; elements stay where they are
};

}  // namespace slipway::gateway

#endif  // GATEWAY_GRPC_PROXY_SERVICE_H_
