#include "services/build/rpc/build_service.h"

#include <algorithm>

#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "services/build/domain/cache_volumes.h"

namespace slipway::build {
namespace {

// BuildKit's words.
constexpr char kStepType[] = "regular";
constexpr char kVolumeType[] = "exec.cachemount";

}  // namespace

BuildServiceImpl::~BuildServiceImpl() {
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return threads_ == 0; };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&none));
}

grpc::Status BuildServiceImpl::ListBuildCache(grpc::ServerContext*,
                                              const v1::ListBuildCacheRequest*,
                                              v1::ListBuildCacheResponse* response) {
  Cancellation cancellation;
  const std::unique_ptr<Images> images = parts_.make_images(cancellation, {});
  const auto entries = parts_.cache.List(*images);
  if (!entries.ok()) return ToGrpc(entries.status());
  for (const CacheEntry& entry : *entries) {
    v1::BuildCacheEntry& to = *response->add_entries();
    to.set_id(entry.step.key);
    to.set_parent(entry.step.parent);
    to.set_image_id(entry.step.image_id);
    to.set_description(entry.step.description);
    to.set_in_use(entry.in_use);
    to.set_shared(entry.in_use);
    to.set_size_bytes(entry.size_bytes);
    to.set_created_unix_ns(entry.step.created_unix_ns);
    to.set_last_used_unix_ns(entry.step.last_used_unix_ns);
    to.set_use_count(entry.step.use_count);
    to.set_type(kStepType);
  }
  const auto volumes = parts_.volumes.List();
  if (!volumes.ok()) return ToGrpc(volumes.status());
  for (const CacheVolume& volume : *volumes) {
    v1::BuildCacheEntry& to = *response->add_entries();
    to.set_id(volume.name);
    to.set_description("volume of RUN --mount=type=cache");
    to.set_in_use(volume.in_use);
    to.set_size_bytes(volume.size_bytes);
    to.set_created_unix_ns(volume.created_unix_ns);
    to.set_last_used_unix_ns(volume.created_unix_ns);
    to.set_type(kVolumeType);
  }
  return grpc::Status::OK;
}

grpc::Status BuildServiceImpl::PruneBuildCache(grpc::ServerContext*,
                                               const v1::PruneBuildCacheRequest* request,
                                               v1::PruneBuildCacheResponse* response) {
  Cancellation cancellation;
  const std::unique_ptr<Images> images = parts_.make_images(cancellation, {});
  PruneRequest prune{.all = request->all(),
                     .until_unix_ns = request->until_unix_ns(),
                     .keep_bytes = request->keep_bytes(),
                     .ids = {request->ids().begin(), request->ids().end()}};
  const auto wanted = [request](absl::string_view type) {
    const auto& types = request->types();
    return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
  };
  const auto add = [response](const PruneOutcome& outcome) {
    response->mutable_ids()->Add(outcome.ids.begin(), outcome.ids.end());
    response->set_reclaimed_bytes(response->reclaimed_bytes() + outcome.reclaimed_bytes);
  };
  if (wanted(kVolumeType)) {
    const auto outcome = PruneCacheVolumes(prune, parts_.volumes);
    if (!outcome.ok()) return ToGrpc(outcome.status());
    add(outcome->removed);
    // What is kept of volumes is not kept of steps; 0 would say that nothing is to be kept.
    if (prune.keep_bytes > 0) {
      prune.keep_bytes = std::max<int64_t>(1, prune.keep_bytes - outcome->kept_bytes);
    }
  }
  if (wanted(kStepType)) {
    const auto outcome = parts_.cache.Prune(prune, *images);
    if (!outcome.ok()) return ToGrpc(outcome.status());
    add(*outcome);
  }
  return grpc::Status::OK;
}

grpc::Status BuildServiceImpl::GetVersion(grpc::ServerContext*,
                                          const common::v1::GetVersionRequest*,
                                          common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

}  // namespace slipway::build
