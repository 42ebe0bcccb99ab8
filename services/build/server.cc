#include "services/build/server.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/metrics/metrics.h"
#include "base/os/descriptor_door.h"
#include "base/os/file.h"
#include "base/rpc/channel.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "services/build/build_metrics.h"
#include "services/build/clients/container_client.h"
#include "services/build/clients/git_client.h"
#include "services/build/clients/http_fetcher.h"
#include "services/build/clients/image_client.h"
#include "services/build/clients/volume_client.h"
#include "services/build/domain/step_cache.h"
#include "services/build/rpc/build_service.h"
#include "services/build/store/rocksdb_cache_store.h"

namespace slipway::build {
namespace {

// Time for builds to remove their containers.
constexpr absl::Duration kGrace = absl::Milliseconds(200);

absl::Status EmptyDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return MakeDirectories(path, 0700);
}

class RunningServer : public Server {
 public:
  ~RunningServer() override {
    if (rpc_ != nullptr) rpc_->Shutdown(kGrace);
    service_.reset();
  }

  absl::Status Run(const ServerOptions& options) {
    ASSIGN_OR_RETURN(store_, RocksDbCacheStore::Open(absl::StrCat(options.root, "/db")));
    ASSIGN_OR_RETURN(cache_, StepCache::Load(*store_));
    const std::string spool = absl::StrCat(options.root, "/spool");
    const std::string mounts = absl::StrCat(options.root, "/mounts");
    const std::string git = absl::StrCat(options.root, "/git");
    RETURN_IF_ERROR(MakeDirectories(spool, 0700));
    // Files of builds that were killed are of no use to anybody.
    RETURN_IF_ERROR(EmptyDirectory(mounts));
    RETURN_IF_ERROR(EmptyDirectory(git));
    ASSIGN_OR_RETURN(door_, DescriptorDoor::Listen(DescriptorDoorPath(options.socket)));
    const auto images = NewChannel(options.image_socket);
    const std::string image_door = DescriptorDoorPath(options.image_socket);
    const auto containers = NewChannel(options.container_socket);
    const auto agent = NewChannel(options.agent_socket);
    volumes_ = std::make_unique<VolumeClient>(containers);
    service_ = std::make_unique<BuildServiceImpl>(BuildServiceParts{
        .make_images =
            [images, image_door](Cancellation& cancellation,
                                 std::map<std::string, image::v1::RegistryAuth> auths) {
              return std::make_unique<ImageClient>(images, image_door, cancellation,
                                                   std::move(auths));
            },
        .make_containers =
            [containers, agent](Cancellation& cancellation, container::v1::ContainerSpec spec,
                                bool keep) {
              if (!keep) (*spec.mutable_labels())[kStepLabel] = "";
              return std::make_unique<ContainerClient>(containers, agent, cancellation,
                                                       std::move(spec));
            },
        .make_fetcher =
            [](Cancellation& cancellation) { return std::make_unique<HttpFetcher>(cancellation); },
        .make_git =
            [git](Cancellation& cancellation) {
              return std::make_unique<GitClient>(git, cancellation);
            },
        .cache = *cache_,
        .volume_locks = locks_,
        .volumes = *volumes_,
        .counters = counters_,
        .door = door_.get(),
        .spool_directory = spool,
        .secret_directory = mounts});
    // Before builds are taken: what is there with the label is of nobody any more.
    const absl::Status removed = RemoveLeftContainers(containers);
    if (!removed.ok()) Log(LogLevel::kWarning, removed.message());
    metrics_.Register(NewBuildCollector(counters_));
    RETURN_IF_ERROR(metrics_.Serve(options.metrics_address));
    RpcServerOptions rpc;
    rpc.listeners.push_back(UnixListener{.path = options.socket, .mode = 0600});
    ASSIGN_OR_RETURN(rpc_, RpcServer::Start(std::move(rpc), {service_.get()}, metrics_));
    return absl::OkStatus();
  }

 private:
  Counters counters_;
  Metrics metrics_;
  NamedLocks locks_;
  std::unique_ptr<RocksDbCacheStore> store_;
  std::unique_ptr<StepCache> cache_;
  std::unique_ptr<DescriptorDoor> door_;
  std::unique_ptr<VolumeClient> volumes_;
  std::unique_ptr<BuildServiceImpl> service_;
  std::unique_ptr<RpcServer> rpc_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  auto server = std::make_unique<RunningServer>();
  RETURN_IF_ERROR(server->Run(options));
  return server;
}

}  // namespace slipway::build
