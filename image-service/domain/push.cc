#include "image-service/domain/push.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kLayersAtOnce = 5;
constexpr absl::Duration kReportEvery = absl::Milliseconds(100);
constexpr char kDockerManifestType[] = "application/vnd.docker.distribution.manifest.v2+json";
constexpr char kDockerConfigType[] = "application/vnd.docker.container.image.v1+json";
constexpr char kDockerGzipType[] = "application/vnd.docker.image.rootfs.diff.tar.gzip";
constexpr char kOciGzipType[] = "application/vnd.oci.image.layer.v1.tar+gzip";

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

// The first failure of several threads.
class FirstFailure {
 public:
  void Set(const absl::Status& status) {
    absl::MutexLock lock(&mu_);
    if (failure_.ok()) failure_ = status;
  }
  absl::Status Get() {
    absl::MutexLock lock(&mu_);
    return failure_;
  }

 private:
  absl::Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

// What the layers of one push share.
struct Pusher::Job {
  const ImageReference& reference;
  RegistryRepository& repository;
  PushObserver& observer;
  Cancellation& cancel;

  void Report(const Layer& layer, LayerPhase phase, int64_t current_bytes = 0,
              std::string source = "") const {
    observer.OnLayer(
        {layer.diff_id.ShortHex(), phase, current_bytes, layer.blob_size_bytes, std::move(source)});
  }
};

absl::Status Pusher::Push(const PushCommand& command, PushObserver& observer,
                          Cancellation& cancel) {
  const absl::Time begin = absl::Now();
  const absl::Status status = DoPush(command, observer, cancel);
  metrics_.OnFinished("push", absl::StatusCodeToString(status.code()), absl::Now() - begin);
  return status;
}

absl::StatusOr<std::vector<std::pair<ImageReference, Digest>>> Pusher::Choose(
    const PushCommand& command) const {
  const ImageReference& reference = command.reference;
  auto tags = catalog_.Tags(reference.Name());
  if (tags.empty()) {
    return absl::NotFoundError(
        absl::StrCat("An image does not exist locally with the tag: ", reference.FamiliarName()));
  }
  if (command.all_tags) return tags;
  const std::string wanted = reference.WithDefaultTag().tag();
  std::erase_if(tags, [&](const auto& tag) { return tag.first.tag() != wanted; });
  if (tags.empty()) {
    return absl::NotFoundError(
        absl::StrCat("tag does not exist: ", reference.WithDefaultTag().FamiliarString()));
  }
  return tags;
}

absl::Status Pusher::DoPush(const PushCommand& command, PushObserver& observer,
                            Cancellation& cancel) {
  if (!command.reference.digest().empty()) {
    return absl::InvalidArgumentError("cannot push a digest reference");
  }
  observer.OnStatus(absl::StrCat("The push refers to repository [", command.reference.Name(), "]"),
                    "");
  ASSIGN_OR_RETURN(const auto tags, Choose(command));
  const std::shared_ptr<RegistryRepository> repository =
      registry_.Open(command.reference, command.credentials, RegistryAccess::kPush);
  Job job{command.reference, *repository, observer, cancel};
  for (const auto& [reference, id] : tags) {
    RETURN_IF_ERROR(PushImage(reference, id, job));
  }
  return absl::OkStatus();
}

absl::Status Pusher::PushImage(const ImageReference& reference, const Digest& id, Job& job) {
  ASSIGN_OR_RETURN(const ImageRecord record, catalog_.Record(id));
  std::vector<LayerLease> leases;
  for (const LayerReference& layer : record.layers) {
    std::optional<LayerLease> lease = catalog_.LeaseLayer(layer.blob);
    if (!lease.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("layer ", layer.blob.ToString(), " of ", reference.FamiliarString(),
                       " is damaged or gone; pull the image again"));
    }
    leases.push_back(std::move(*lease));
  }
  RETURN_IF_ERROR(PushLayers(leases, job));
  ASSIGN_OR_RETURN(const PushedTag pushed, PushManifest(reference, record, job));
  RETURN_IF_ERROR(catalog_.RecordPush(id, reference, pushed.manifest_digest));
  job.observer.OnPushed(pushed);
  return absl::OkStatus();
}

absl::Status Pusher::PushLayers(const std::vector<LayerLease>& leases, Job& job) {
  std::vector<const Layer*> layers;
  // Top first, as Docker shows them; a blob that is there twice is sent once.
  for (auto lease = leases.rbegin(); lease != leases.rend(); ++lease) {
    const Layer& layer = lease->layer();
    if (std::any_of(layers.begin(), layers.end(),
                    [&](const Layer* other) { return other->blob == layer.blob; })) {
      continue;
    }
    layers.push_back(&layer);
  }
  for (size_t i = 0; i < layers.size(); ++i) job.Report(*layers[i], LayerPhase::kPreparing);
  for (size_t i = kLayersAtOnce; i < layers.size(); ++i) {
    job.Report(*layers[i], LayerPhase::kWaiting);
  }
  FirstFailure failure;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t at = next++; at < layers.size() && !job.cancel.cancelled(); at = next++) {
      const absl::Status status = PushLayer(*layers[at], job);
      if (status.ok()) continue;
      failure.Set(status);
      job.cancel.Cancel();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kLayersAtOnce, layers.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  RETURN_IF_ERROR(failure.Get());
  if (job.cancel.cancelled()) return absl::CancelledError("the push was cancelled");
  return absl::OkStatus();
}

absl::StatusOr<bool> Pusher::Mount(const Layer& layer, Job& job) {
  const std::string prefix = absl::StrCat(job.reference.domain(), "/");
  for (auto name = layer.repositories.rbegin(); name != layer.repositories.rend(); ++name) {
    absl::string_view path = *name;
    if (!absl::ConsumePrefix(&path, prefix) || path == job.reference.path()) continue;
    ASSIGN_OR_RETURN(const bool mounted,
                     job.repository.MountBlob(layer.blob, std::string(path), job.cancel));
    if (!mounted) continue;
    job.Report(layer, LayerPhase::kMounted, 0, std::string(path));
    return true;
  }
  return false;
}

absl::Status Pusher::PushLayer(const Layer& layer, Job& job) {
  ASSIGN_OR_RETURN(const TransferSlots::Slot slot, slots_.Take(job.cancel));
  ASSIGN_OR_RETURN(const bool present, job.repository.HasBlob(layer.blob, job.cancel));
  if (present) {
    job.Report(layer, LayerPhase::kLayerAlreadyExists);
    return absl::OkStatus();
  }
  // A registry that refuses to mount takes the bytes.
  const absl::StatusOr<bool> mounted = Mount(layer, job);
  if (mounted.ok() && *mounted) return absl::OkStatus();
  return UploadLayer(layer, job);
}

absl::Status Pusher::UploadLayer(const Layer& layer, Job& job) {
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobReader> blob, content_.OpenBlob(layer.blob));
  if (blob->size_bytes() != layer.blob_size_bytes) {
    return absl::DataLossError(absl::StrCat("blob ", layer.blob.ToString(), " has ",
                                            blob->size_bytes(), " bytes instead of ",
                                            layer.blob_size_bytes));
  }
  job.Report(layer, LayerPhase::kPushing);
  absl::Time reported = absl::Now();
  const BlobSource source = [&](int64_t offset, char* data, size_t size) -> absl::StatusOr<size_t> {
    ASSIGN_OR_RETURN(const size_t count, blob->ReadAt(offset, data, size));
    if (count == 0) {
      return absl::DataLossError(absl::StrCat("blob ", layer.blob.ToString(), " ends early"));
    }
    if (absl::Now() - reported > kReportEvery) {
      reported = absl::Now();
      job.Report(layer, LayerPhase::kPushing, offset + static_cast<int64_t>(count));
    }
    return count;
  };
  RETURN_IF_ERROR(job.repository.UploadBlob(
      layer.blob, layer.blob_size_bytes, source, [&] { job.Report(layer, LayerPhase::kRetrying); },
      job.cancel));
  job.Report(layer, LayerPhase::kPushed, layer.blob_size_bytes);
  return absl::OkStatus();
}

namespace {

// The manifest in Docker's own types; none when a layer has no such type.
std::optional<Manifest> InDockersTypes(const Manifest& manifest) {
  Manifest docker = manifest;
  docker.media_type = kDockerManifestType;
  docker.config.media_type = kDockerConfigType;
  for (Descriptor& layer : docker.layers) {
    if (layer.media_type != kOciGzipType && layer.media_type != kDockerGzipType)
      return std::nullopt;
    layer.media_type = kDockerGzipType;
  }
  return docker;
}

}  // namespace

absl::StatusOr<PushedTag> Pusher::PushManifest(const ImageReference& reference,
                                               const ImageRecord& record, Job& job) {
  ASSIGN_OR_RETURN(const bool has_config, job.repository.HasBlob(record.id, job.cancel));
  if (!has_config) {
    const std::string& config = record.config_json;
    const BlobSource source = [&](int64_t offset, char* data,
                                  size_t size) -> absl::StatusOr<size_t> {
      return config.copy(data, size, static_cast<size_t>(offset));
    };
    RETURN_IF_ERROR(job.repository.UploadBlob(
        record.id, static_cast<int64_t>(config.size()), source, [] {}, job.cancel));
  }
  std::string body = record.manifest_json;
  absl::Status put =
      job.repository.PutManifest(reference, record.manifest_media_type, body, job.cancel);
  if (absl::IsInvalidArgument(put)) {
    // An old registry knows only Docker's types.
    ASSIGN_OR_RETURN(const ManifestOrIndex parsed,
                     format_.ParseManifest(body, record.manifest_media_type));
    const Manifest* manifest = std::get_if<Manifest>(&parsed);
    const std::optional<Manifest> docker =
        manifest == nullptr || manifest->media_type == kDockerManifestType
            ? std::nullopt
            : InDockersTypes(*manifest);
    if (docker.has_value()) {
      body = format_.WriteManifest(*docker);
      put = job.repository.PutManifest(reference, docker->media_type, body, job.cancel);
    }
  }
  if (!put.ok()) return Annotate(put, absl::StrCat("push ", reference.FamiliarString()));
  return PushedTag{reference.tag(), Digest::OfBytes(body), static_cast<int64_t>(body.size())};
}

}  // namespace slipway::image
