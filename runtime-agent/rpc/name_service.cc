#include "runtime-agent/rpc/name_service.h"

#include <string>

#include "base/rpc/status_conversion.h"

namespace slipway::agent {

grpc::Status NameServiceHandler::ListNames(grpc::ServerContext*, const v1::ListNamesRequest*,
                                           v1::ListNamesResponse* response) {
  for (const Endpoint& endpoint : runtime_->NamedEndpoints()) {
    v1::EndpointNames* to = response->add_endpoints();
    to->set_container_id(endpoint.id);
    to->set_network_id(endpoint.network_id);
    for (const std::string& name : endpoint.names) to->add_names(name);
  }
  return grpc::Status::OK;
}

grpc::Status NameServiceHandler::UpdateHosts(grpc::ServerContext*,
                                             const v1::UpdateHostsRequest* request,
                                             v1::UpdateHostsResponse*) {
  return ToGrpc(runtime_->UpdateHosts(
      request->container_id(), {request->extra_hosts().begin(), request->extra_hosts().end()}));
}

}  // namespace slipway::agent
