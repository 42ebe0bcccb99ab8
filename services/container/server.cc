#include "services/container/server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/metrics/metrics.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "services/container/clients/agent_client.h"
#include "services/container/clients/image_client.h"
#include "services/container/clients/system_clock.h"
#include "services/container/domain/core.h"
#include "services/container/domain/executor.h"
#include "services/container/domain/host_sync.h"
#include "services/container/metrics_observer.h"
#include "services/container/rpc/container_service.h"
#include "services/container/rpc/network_service.h"
#include "services/container/rpc/volume_service.h"
#include "services/container/store/rocksdb_store.h"

namespace slipway::container {
namespace {

constexpr int kWorkers = 64;
constexpr absl::Duration kGrace = absl::Seconds(1);

class RunningServer : public Server {
 public:
  RunningServer(const ServerOptions& options, std::unique_ptr<RocksDbStore> store)
      : store_(std::move(store)),
        observer_(*metrics_.registry()),
        agent_(options.agent_socket),
        image_(options.image_socket),
        executor_(kWorkers) {}

  ~RunningServer() override {
    if (rpc_ != nullptr) rpc_->Shutdown(kGrace);
    if (sync_ != nullptr) sync_->Stop();
    clock_.Stop();
    executor_.Shutdown();
  }

  absl::Status Run(const ServerOptions& options) {
    ASSIGN_OR_RETURN(const AddressBlock pool, AddressBlock::Parse(options.network_pool));
    ASSIGN_OR_RETURN(core_, Core::Load(Ports{.agent = agent_,
                                             .image = image_,
                                             .store = *store_,
                                             .clock = clock_,
                                             .observer = observer_,
                                             .executor = executor_,
                                             .network_pool = pool}));
    sync_ = std::make_unique<HostSync>(*core_);
    sync_->Start();
    if (!sync_->WaitForFirst(options.first_sync)) {
      Log(LogLevel::kWarning, "the host's agent has not answered yet; serving without it");
    }
    service_ = std::make_unique<ContainerServiceImpl>(*core_);
    networks_ = std::make_unique<NetworkServiceImpl>(*core_);
    volumes_ = std::make_unique<VolumeServiceImpl>(*core_);
    RETURN_IF_ERROR(metrics_.Serve(options.metrics_address));
    RpcServerOptions rpc;
    rpc.listeners.push_back(UnixListener{.path = options.socket, .mode = 0600});
    ASSIGN_OR_RETURN(
        rpc_, RpcServer::Start(std::move(rpc), {service_.get(), networks_.get(), volumes_.get()},
                               metrics_));
    return absl::OkStatus();
  }

 private:
  Metrics metrics_;
  std::unique_ptr<RocksDbStore> store_;
  MetricsObserver observer_;
  AgentClient agent_;
  ImageClient image_;
  SystemClock clock_;
  std::unique_ptr<Core> core_;
  Executor executor_;  // after what its dropped tasks refer to
  std::unique_ptr<HostSync> sync_;
  std::unique_ptr<ContainerServiceImpl> service_;
  std::unique_ptr<NetworkServiceImpl> networks_;
  std::unique_ptr<VolumeServiceImpl> volumes_;
  std::unique_ptr<RpcServer> rpc_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<RocksDbStore> store,
                   RocksDbStore::Open(absl::StrCat(options.root, "/db")));
  auto server = std::make_unique<RunningServer>(options, std::move(store));
  RETURN_IF_ERROR(server->Run(options));
  return server;
}

}  // namespace slipway::container
