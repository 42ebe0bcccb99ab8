#include "image-service/domain/push.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {
namespace {

constexpr size_t kLayersAtOnce = 5;
constexpr absl::Duration kReportEvery = absl::Milliseconds(100);

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
  absl::Mutex mu;
  std::map<Digest, SentBlob> gzipped ABSL_GUARDED_BY(mu);  // what became of blobs with a split

  void Report(const Layer& layer, LayerPhase phase, int64_t current_bytes, int64_t total_bytes,
              std::string source = "") const {
    observer.OnLayer(
        {layer.diff_id.ShortHex(), phase, current_bytes, total_bytes, std::move(source)});
  }
  void Report(const Layer& layer, LayerPhase phase) const {
    Report(layer, phase, 0, layer.blob_size_bytes);
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
  Job job{.reference = command.reference,
          .repository = *repository,
          .observer = observer,
          .cancel = cancel};
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
  std::map<Digest, SentBlob> gzipped;
  {
    absl::MutexLock lock(&job.mu);
    gzipped = job.gzipped;
  }
  RETURN_IF_ERROR(catalog_.RecordPush(id, reference, pushed.manifest_digest, gzipped));
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

absl::StatusOr<bool> Pusher::Mount(const Layer& layer, const Digest& blob, Job& job) {
  const std::string prefix = absl::StrCat(job.reference.domain(), "/");
  for (auto name = layer.repositories.rbegin(); name != layer.repositories.rend(); ++name) {
    absl::string_view path = *name;
    if (!absl::ConsumePrefix(&path, prefix) || path == job.reference.path()) continue;
    ASSIGN_OR_RETURN(const bool mounted,
                     job.repository.MountBlob(blob, std::string(path), job.cancel));
    if (!mounted) continue;
    job.Report(layer, LayerPhase::kMounted, 0, layer.blob_size_bytes, std::string(path));
    return true;
  }
  return false;
}

absl::StatusOr<bool> Pusher::IsThere(const Layer& layer, const Digest& blob, Job& job) {
  ASSIGN_OR_RETURN(const bool present, job.repository.HasBlob(blob, job.cancel));
  if (present) {
    job.Report(layer, LayerPhase::kLayerAlreadyExists);
    return true;
  }
  // A registry that refuses to mount takes the bytes.
  const absl::StatusOr<bool> mounted = Mount(layer, blob, job);
  return mounted.ok() && *mounted;
}

absl::Status Pusher::PushLayer(const Layer& layer, Job& job) {
  ASSIGN_OR_RETURN(const TransferSlots::Slot slot, slots_.Take(job.cancel));
  if (layer.has_split()) return PushSplitLayer(layer, job);
  ASSIGN_OR_RETURN(const bool there, IsThere(layer, layer.blob, job));
  if (there) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobReader> blob, content_.OpenBlob(layer.blob));
  if (blob->size_bytes() != layer.blob_size_bytes) {
    return absl::DataLossError(absl::StrCat("blob ", layer.blob.ToString(), " has ",
                                            blob->size_bytes(), " bytes instead of ",
                                            layer.blob_size_bytes));
  }
  return UploadLayer(layer, layer.blob, *blob, job);
}

absl::Status Pusher::PushSplitLayer(const Layer& layer, Job& job) {
  const auto keep = [&](const Digest& digest, int64_t size_bytes) {
    absl::MutexLock lock(&job.mu);
    job.gzipped[layer.blob] = {digest, size_bytes};
    return absl::OkStatus();
  };
  // What it became at an earlier push need not be made again.
  if (!layer.gzip.empty()) {
    ASSIGN_OR_RETURN(const bool there, IsThere(layer, layer.gzip, job));
    if (there) return keep(layer.gzip, layer.gzip_size_bytes);
  }
  ASSIGN_OR_RETURN(const GzippedTar gzipped, content_.GzipTar(layer, job.cancel));
  if (layer.gzip != gzipped.digest) {
    ASSIGN_OR_RETURN(const bool there, IsThere(layer, gzipped.digest, job));
    if (there) return keep(gzipped.digest, gzipped.blob->size_bytes());
  }
  RETURN_IF_ERROR(UploadLayer(layer, gzipped.digest, *gzipped.blob, job));
  return keep(gzipped.digest, gzipped.blob->size_bytes());
}

absl::Status Pusher::UploadLayer(const Layer& layer, const Digest& digest, BlobReader& blob,
                                 Job& job) {
  const int64_t total_bytes = blob.size_bytes();
  job.Report(layer, LayerPhase::kPushing, 0, total_bytes);
  absl::Time reported = absl::Now();
  const BlobSource source = [&](int64_t offset, char* data, size_t size) -> absl::StatusOr<size_t> {
    ASSIGN_OR_RETURN(const size_t count, blob.ReadAt(offset, data, size));
    if (count == 0) {
      return absl::DataLossError(absl::StrCat("blob ", digest.ToString(), " ends early"));
    }
    if (absl::Now() - reported > kReportEvery) {
      reported = absl::Now();
      job.Report(layer, LayerPhase::kPushing, offset + static_cast<int64_t>(count), total_bytes);
    }
    return count;
  };
  RETURN_IF_ERROR(job.repository.UploadBlob(
      digest, total_bytes, source, [&] { job.Report(layer, LayerPhase::kRetrying); }, job.cancel));
  job.Report(layer, LayerPhase::kPushed, total_bytes, total_bytes);
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

absl::StatusOr<std::string> Pusher::ManifestToSend(const ImageRecord& record, Job& job) {
  absl::MutexLock lock(&job.mu);
  ASSIGN_OR_RETURN(ManifestOrIndex parsed,
                   format_.ParseManifest(record.manifest_json, record.manifest_media_type));
  Manifest* manifest = std::get_if<Manifest>(&parsed);
  if (manifest == nullptr) return record.manifest_json;
  bool changed = false;
  for (Descriptor& layer : manifest->layers) {
    const auto sent = job.gzipped.find(layer.digest);
    if (sent == job.gzipped.end()) continue;
    layer.digest = sent->second.digest;
    layer.size_bytes = sent->second.size_bytes;
    layer.media_type = manifest->media_type == kDockerManifestType ? kDockerGzipType : kOciGzipType;
    changed = true;
  }
  return changed ? format_.WriteManifest(*manifest) : record.manifest_json;
}

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
  ASSIGN_OR_RETURN(std::string body, ManifestToSend(record, job));
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
