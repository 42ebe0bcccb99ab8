#ifndef SERVICES_BUILD_RPC_BUILD_SERVICE_H_
#define SERVICES_BUILD_RPC_BUILD_SERVICE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "base/os/descriptor_door.h"
#include "services/build/domain/stage_run.h"
#include "services/build/domain/step_cache.h"
#include "services/build/ports/cancellation.h"
#include "services/build/ports/containers.h"
#include "services/build/ports/fetcher.h"
#include "services/build/ports/git.h"
#include "services/build/ports/images.h"
#include "services/build/ports/volumes.h"
#include "slipway/build/v1/build.grpc.pb.h"

namespace slipway::build {

// Counters of all builds. Thread-safe.
struct Counters {
  std::atomic<int64_t> running{0};
  std::atomic<int64_t> finished{0};
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> steps_run{0};
  std::atomic<int64_t> steps_cached{0};
};

// What the service makes builds with; all of it outlives the service. The makers' products serve
// one build and end with its cancellation.
struct BuildServiceParts {
  std::function<std::unique_ptr<Images>(Cancellation&,
                                        std::map<std::string, image::v1::RegistryAuth>)>
      make_images;
  // `keep`: they outlive their steps.
  std::function<std::unique_ptr<Containers>(Cancellation&, container::v1::ContainerSpec, bool keep)>
      make_containers;
  std::function<std::unique_ptr<Fetcher>(Cancellation&)> make_fetcher;
  std::function<std::unique_ptr<Git>(Cancellation&)> make_git;
  StepCache& cache;
  NamedLocks& volume_locks;
  Volumes& volumes;
  Counters& counters;
  DescriptorDoor* door;  // where contexts come in as files; null: nowhere
  std::string spool_directory;
  std::string secret_directory;
};

// slipway.build.v1.BuildService: checks the request, runs a build in a thread of its own, converts
// what it tells. At most 16 builds at once. Thread-safe.
class BuildServiceImpl
    : public v1::BuildService::WithCallbackMethod_BuildImage<v1::BuildService::Service> {
 public:
  explicit BuildServiceImpl(BuildServiceParts parts) : parts_(std::move(parts)) {}
  // Waits for the builds' threads: their calls have to be cancelled before.
  ~BuildServiceImpl() override;

  grpc::ServerBidiReactor<v1::BuildImageRequest, v1::BuildImageResponse>* BuildImage(
      grpc::CallbackServerContext* context) override;
  grpc::Status ListBuildCache(grpc::ServerContext* context,
                              const v1::ListBuildCacheRequest* request,
                              v1::ListBuildCacheResponse* response) override;
  grpc::Status PruneBuildCache(grpc::ServerContext* context,
                               const v1::PruneBuildCacheRequest* request,
                               v1::PruneBuildCacheResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const common::v1::GetVersionRequest* request,
                          common::v1::GetVersionResponse* response) override;

 private:
  friend class BuildCall;

  const BuildServiceParts parts_;
  absl::Mutex mu_;
  int threads_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_RPC_BUILD_SERVICE_H_
