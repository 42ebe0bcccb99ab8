#include "gateway/testing/fake_networks.h"

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "slipway/container/v1/network.grpc.pb.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::container::v1;
using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

class FakeNetworks : public pb::NetworkService::Service {
 public:
  FakeNetworks() {
    for (const char* name : {"bridge", "host", "none"}) {
      pb::GetNetworkResponse& row = rows_[name];
      row.mutable_network()->set_id(absl::StrCat(name, "-id"));
      row.mutable_network()->set_name(name);
      row.mutable_network()->set_driver(std::string(name) == "none" ? "null" : name);
      row.mutable_network()->set_builtin(true);
    }
  }

  Status CreateNetwork(ServerContext*, const pb::CreateNetworkRequest* request,
                       pb::CreateNetworkResponse* response) override {
    const pb::VirtualNetwork& network = request->network();
    if (network.name().empty()) return Status(StatusCode::INVALID_ARGUMENT, "no name");
    absl::MutexLock lock(&mu_);
    const auto [row, inserted] = rows_.try_emplace(network.name());
    if (!inserted) return Status(StatusCode::ALREADY_EXISTS, "exists");
    *row->second.mutable_network() = network;
    row->second.mutable_network()->set_id(absl::StrCat(network.name(), "-id"));
    response->set_id(row->second.network().id());
    return Status::OK;
  }
  Status GetNetwork(ServerContext*, const pb::GetNetworkRequest* request,
                    pb::GetNetworkResponse* response) override {
    absl::MutexLock lock(&mu_);
    const auto row = rows_.find(request->network());
    if (row == rows_.end()) return Missing(request->network());
    *response = row->second;
    return Status::OK;
  }
  Status ListNetworks(ServerContext*, const pb::ListNetworksRequest*,
                      pb::ListNetworksResponse* response) override {
    absl::MutexLock lock(&mu_);
    for (const auto& [name, row] : rows_) {
      *response->add_networks()->mutable_network() = row.network();
    }
    return Status::OK;
  }
  Status RemoveNetwork(ServerContext*, const pb::RemoveNetworkRequest* request,
                       pb::RemoveNetworkResponse*) override {
    absl::MutexLock lock(&mu_);
    const auto row = rows_.find(request->network());
    if (row == rows_.end()) return Missing(request->network());
    if (row->second.network().builtin())
      return Status(StatusCode::PERMISSION_DENIED, "pre-defined");
    rows_.erase(row);
    return Status::OK;
  }
  Status ConnectNetwork(ServerContext*, const pb::ConnectNetworkRequest* request,
                        pb::ConnectNetworkResponse*) override {
    absl::MutexLock lock(&mu_);
    const auto row = rows_.find(request->network());
    if (row == rows_.end()) return Missing(request->network());
    pb::Container& container = *row->second.add_containers();
    container.set_id(request->container());
    pb::Endpoint& endpoint = *container.add_endpoints();
    endpoint.set_network(request->network());
    endpoint.set_address(request->attachment().address());
    endpoint.set_prefix_length(24);
    return Status::OK;
  }

 private:
  static Status Missing(const std::string& name) {
    return Status(StatusCode::NOT_FOUND, absl::StrCat("network ", name, " not found"));
  }

  absl::Mutex mu_;
  std::map<std::string, pb::GetNetworkResponse> rows_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<grpc::Service> NewFakeNetworks() { return std::make_unique<FakeNetworks>(); }

}  // namespace slipway::gateway
