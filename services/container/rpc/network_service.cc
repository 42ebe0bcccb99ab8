#include "services/container/rpc/network_service.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/rpc/status_conversion.h"
#include "services/container/codec/spec_codec.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/network_verbs.h"
#include "services/container/rpc/unary_call.h"
#include "services/container/rpc/wire_codec.h"

namespace slipway::container {
namespace {

namespace verbs = ::slipway::container;
using Call = std::shared_ptr<UnaryCall>;

DoneStatus EndOf(const Call& call) {
  return [call](const absl::Status& status) { call->End(status); };
}

void PutNetwork(const VirtualNetwork& from, v1::VirtualNetwork* to) {
  codec::PutVirtualNetwork(from, to);
  to->set_builtin(from.builtin);
}

// The networks that a container is in, those that every host has included.
std::vector<std::string> NetworksOf(Core& core, const Container& container) {
  if (container.definition->spec.network.mode == "host") return {kHostNetworkId};
  if (IsInNone(*container.definition)) return {kNoneNetworkId};
  std::vector<std::string> networks;
  for (const Attachment& attachment : AttachmentsOf(*container.definition)) {
    if (const auto network = NetworkOf(core, attachment); network.ok()) {
      networks.push_back((*network)->id);
    }
  }
  return networks;
}

}  // namespace

grpc::ServerUnaryReactor* NetworkServiceImpl::CreateNetwork(Async*,
                                                            const v1::CreateNetworkRequest* request,
                                                            v1::CreateNetworkResponse* response) {
  const Call call = UnaryCall::New();
  verbs::CreateNetwork(core_, codec::GetVirtualNetwork(request->network()),
                       [call, response](absl::StatusOr<std::string> id) {
                         call->End(id.status(), [&] { response->set_id(*id); });
                       });
  return call.get();
}

grpc::ServerUnaryReactor* NetworkServiceImpl::RemoveNetwork(Async*,
                                                            const v1::RemoveNetworkRequest* request,
                                                            v1::RemoveNetworkResponse*) {
  const Call call = UnaryCall::New();
  verbs::RemoveNetwork(core_, request->network(), EndOf(call));
  return call.get();
}

grpc::ServerUnaryReactor* NetworkServiceImpl::PruneNetworks(Async*,
                                                            const v1::PruneNetworksRequest* request,
                                                            v1::PruneNetworksResponse* response) {
  const Call call = UnaryCall::New();
  verbs::PruneNetworks(core_,
                       {.labels = codec::GetList(request->labels()),
                        .not_labels = codec::GetList(request->not_labels()),
                        .until_unix_ns = request->until_unix_ns()},
                       [call, response](absl::StatusOr<std::vector<std::string>> names) {
                         call->End(names.status(),
                                   [&] { codec::PutList(*names, response->mutable_names()); });
                       });
  return call.get();
}

grpc::ServerUnaryReactor* NetworkServiceImpl::ConnectNetwork(
    Async*, const v1::ConnectNetworkRequest* request, v1::ConnectNetworkResponse*) {
  const Call call = UnaryCall::New();
  verbs::ConnectNetwork(core_, request->network(), request->container(),
                        codec::GetAttachment(request->attachment()), EndOf(call));
  return call.get();
}

grpc::ServerUnaryReactor* NetworkServiceImpl::DisconnectNetwork(
    Async*, const v1::DisconnectNetworkRequest* request, v1::DisconnectNetworkResponse*) {
  const Call call = UnaryCall::New();
  verbs::DisconnectNetwork(core_, request->network(), request->container(), request->force(),
                           EndOf(call));
  return call.get();
}

grpc::Status NetworkServiceImpl::GetNetwork(grpc::ServerContext*,
                                            const v1::GetNetworkRequest* request,
                                            v1::GetNetworkResponse* response) {
  const auto network = core_.networks().Find(request->network());
  if (!network.ok()) return ToGrpc(network.status());
  PutNetwork(**network, response->mutable_network());
  for (const EntryPtr& entry : core_.table().All()) {
    const ContainerPtr container = entry->snapshot();
    if (!HasProcess(container->state)) continue;
    for (const std::string& id : NetworksOf(core_, *container)) {
      if (id == (*network)->id) PutContainer(*container, false, response->add_containers());
    }
  }
  return grpc::Status::OK;
}

grpc::Status NetworkServiceImpl::ListNetworks(grpc::ServerContext*, const v1::ListNetworksRequest*,
                                              v1::ListNetworksResponse* response) {
  absl::flat_hash_map<std::string, int> counts;
  for (const EntryPtr& entry : core_.table().All()) {
    for (const std::string& id : NetworksOf(core_, *entry->snapshot())) ++counts[id];
  }
  for (const NetworkPtr& network : core_.networks().All()) {
    v1::NetworkSummary* summary = response->add_networks();
    PutNetwork(*network, summary->mutable_network());
    summary->set_container_count(counts[network->id]);
  }
  return grpc::Status::OK;
}

}  // namespace slipway::container
