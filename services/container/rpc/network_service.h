#ifndef SERVICES_CONTAINER_RPC_NETWORK_SERVICE_H_
#define SERVICES_CONTAINER_RPC_NETWORK_SERVICE_H_

#include "services/container/domain/core.h"
#include "slipway/container/v1/network.grpc.pb.h"

namespace slipway::container {

namespace internal {

// What asks the agent answers by callback, and holds no thread of the server's meanwhile.
using Networks = v1::NetworkService;
using NetworkChanges =
    Networks::WithCallbackMethod_CreateNetwork<Networks::WithCallbackMethod_RemoveNetwork<
        Networks::WithCallbackMethod_PruneNetworks<Networks::WithCallbackMethod_ConnectNetwork<
            Networks::WithCallbackMethod_DisconnectNetwork<Networks::Service>>>>>;

}  // namespace internal

// The wire side of networks: parses, calls, converts. Thread-safe; `core` outlives the server.
class NetworkServiceImpl final : public internal::NetworkChanges {
 public:
  using Async = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit NetworkServiceImpl(Core& core) : core_(core) {}

  Reactor* CreateNetwork(Async* context, const v1::CreateNetworkRequest* request,
                         v1::CreateNetworkResponse* response) override;
  Reactor* RemoveNetwork(Async* context, const v1::RemoveNetworkRequest* request,
                         v1::RemoveNetworkResponse* response) override;
  Reactor* PruneNetworks(Async* context, const v1::PruneNetworksRequest* request,
                         v1::PruneNetworksResponse* response) override;
  Reactor* ConnectNetwork(Async* context, const v1::ConnectNetworkRequest* request,
                          v1::ConnectNetworkResponse* response) override;
  Reactor* DisconnectNetwork(Async* context, const v1::DisconnectNetworkRequest* request,
                             v1::DisconnectNetworkResponse* response) override;

  grpc::Status GetNetwork(grpc::ServerContext* context, const v1::GetNetworkRequest* request,
                          v1::GetNetworkResponse* response) override;
  grpc::Status ListNetworks(grpc::ServerContext* context, const v1::ListNetworksRequest* request,
                            v1::ListNetworksResponse* response) override;

 private:
  Core& core_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_NETWORK_SERVICE_H_
