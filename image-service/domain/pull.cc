#include "image-service/domain/pull.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kLayersAtOnce = 3;
constexpr int64_t kMaxConfigBytes = 8 << 20;

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

absl::Status CheckLayers(const Manifest& manifest, const ImageReference& reference) {
  for (const Descriptor& layer : manifest.layers) {
    if (layer.has_urls || absl::StrContains(layer.media_type, "foreign") ||
        absl::StrContains(layer.media_type, "nondistributable")) {
      return absl::UnimplementedError(absl::StrCat(
          reference.FamiliarString(), ": layer ", layer.digest.ToString(), " is a foreign layer (",
          layer.media_type, "), which is not kept by registries"));
    }
    if (!absl::StrContains(layer.media_type, "tar")) {
      return absl::UnimplementedError(
          absl::StrCat(reference.FamiliarString(), ": unsupported media type ",
                       layer.media_type.empty() ? "(none)" : layer.media_type.substr(0, 100),
                       " of layer ", layer.digest.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Puller::Pull(const PullCommand& command, PullObserver& observer,
                          Cancellation& cancel) {
  if (command.all_tags) return PullAllTags(command, observer, cancel);
  const absl::Time begin = absl::Now();
  const absl::StatusOr<PullOutcome> outcome = DoPull(command, observer, cancel);
  metrics_.OnFinished("pull", absl::StatusCodeToString(outcome.status().code()),
                      absl::Now() - begin);
  if (outcome.ok()) observer.OnPulled(*outcome);
  return outcome.status();
}

absl::Status Puller::PullAllTags(const PullCommand& command, PullObserver& observer,
                                 Cancellation& cancel) {
  const std::shared_ptr<RegistryRepository> repository =
      registry_.Open(command.reference, command.credentials, RegistryAccess::kPull);
  ASSIGN_OR_RETURN(const std::vector<std::string> tags, repository->ListTags(cancel));
  PullCommand one = command;
  one.all_tags = false;
  for (const std::string& tag : tags) {
    const auto reference = ImageReference::Parse(absl::StrCat(command.reference.Name(), ":", tag));
    if (!reference.ok()) return absl::DataLossError("the registry lists a tag that is none");
    one.reference = *reference;
    RETURN_IF_ERROR(Pull(one, observer, cancel));
  }
  if (!tags.empty()) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("repository ", command.reference.FamiliarName(), " has no tags"));
}

absl::StatusOr<PullOutcome> Puller::DoPull(const PullCommand& command, ProgressObserver& observer,
                                           Cancellation& cancel) {
  PullCommand wanted = command;
  wanted.reference = command.reference.WithDefaultTag();
  const ImageReference& reference = wanted.reference;
  const std::shared_ptr<RegistryRepository> repository =
      registry_.Open(reference, command.credentials, RegistryAccess::kPull);
  ASSIGN_OR_RETURN(const Resolved resolved, Resolve(wanted, *repository, cancel));
  observer.OnStatus(absl::StrCat("Pulling from ", reference.path()),
                    reference.digest().empty() ? reference.tag() : reference.digest().ToString());

  PutImageCommand put;
  ASSIGN_OR_RETURN(std::optional<Catalog::OwnImage> own,
                   catalog_.LeaseOwn(resolved.manifest.config.digest));
  if (own.has_value()) {
    for (const Descriptor& layer : resolved.manifest.layers) {
      observer.OnLayer({layer.digest.ShortHex(), LayerPhase::kAlreadyExists, 0, 0});
    }
    put.record = std::move(own->record);
    put.layers = std::move(own->layers);
  } else {
    RETURN_IF_ERROR(FetchImage(resolved, *repository, observer, cancel, put));
  }
  if (reference.digest().empty()) put.references.push_back(reference);
  put.references.push_back(reference.WithDigest(resolved.named));
  put.repository = reference.Name();
  put.action = "pull";
  put.actor = reference.digest().empty()
                  ? reference.FamiliarString()
                  : reference.WithDigest(reference.digest()).FamiliarString();
  put.name = reference.FamiliarName();
  ASSIGN_OR_RETURN(const PutImageOutcome stored, catalog_.Put(std::move(put)));
  return PullOutcome{resolved.manifest.config.digest, resolved.named, !stored.changed,
                     reference.FamiliarString()};
}

absl::Status Puller::FetchImage(const Resolved& resolved, RegistryRepository& repository,
                                ProgressObserver& observer, Cancellation& cancel,
                                PutImageCommand& put) {
  ASSIGN_OR_RETURN(put.layers, FetchLayers(resolved, repository, observer, cancel));
  put.record.id = resolved.manifest.config.digest;
  put.record.config_json = resolved.config_json;
  put.record.manifest_json = resolved.document.body;
  put.record.manifest_digest = resolved.document.digest;
  put.record.manifest_media_type = resolved.manifest.media_type;
  for (size_t i = 0; i < put.layers.size(); ++i) {
    const Layer& layer = put.layers[i].layer();
    put.record.layers.push_back(
        {layer.blob, layer.diff_id, resolved.manifest.layers[i].media_type});
  }
  return absl::OkStatus();
}

absl::StatusOr<Puller::Resolved> Puller::Resolve(const PullCommand& command,
                                                 RegistryRepository& repository,
                                                 const Cancellation& cancel) {
  const ImageReference& reference = command.reference;
  const std::string what =
      absl::StrCat("failed to resolve reference \"", reference.FullString(), "\"");
  Resolved resolved;
  ASSIGN_OR_RETURN(resolved.document, repository.FetchManifest(reference, cancel));
  resolved.named = resolved.document.digest;
  auto parsed = format_.ParseManifest(resolved.document.body, resolved.document.media_type);
  if (!parsed.ok()) return Annotate(parsed.status(), what);
  if (const auto* index = std::get_if<std::vector<IndexEntry>>(&*parsed)) {
    const Platform platform = command.platform.value_or(HostPlatform());
    const int found = SelectPlatform(*index, platform);
    if (found < 0) {
      return absl::NotFoundError(absl::StrCat("no matching manifest for ", PlatformName(platform),
                                              " in the manifest list entries of ",
                                              reference.FamiliarString()));
    }
    const Descriptor& chosen = (*index)[static_cast<size_t>(found)].manifest;
    ASSIGN_OR_RETURN(resolved.document,
                     repository.FetchManifest(reference.WithDigest(chosen.digest), cancel));
    parsed = format_.ParseManifest(resolved.document.body, resolved.document.media_type);
    if (!parsed.ok()) return Annotate(parsed.status(), what);
  }
  Manifest* manifest = std::get_if<Manifest>(&*parsed);
  if (manifest == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": an index within an index"));
  }
  resolved.manifest = std::move(*manifest);
  RETURN_IF_ERROR(CheckLayers(resolved.manifest, reference));
  RETURN_IF_ERROR(FetchConfig(command, repository, resolved, cancel));
  return resolved;
}

absl::Status Puller::FetchConfig(const PullCommand& command, RegistryRepository& repository,
                                 Resolved& resolved, const Cancellation& cancel) {
  const std::string name = command.reference.FamiliarString();
  const Descriptor& config = resolved.manifest.config;
  if (config.size_bytes > kMaxConfigBytes) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": image configuration of ",
                                                   config.size_bytes, " bytes, at most ",
                                                   kMaxConfigBytes, " are taken"));
  }
  ASSIGN_OR_RETURN(resolved.config_json,
                   repository.FetchBlob(config.digest, kMaxConfigBytes, cancel));
  auto description = format_.ParseConfig(resolved.config_json);
  if (!description.ok()) return Annotate(description.status(), name);
  resolved.description = *std::move(description);
  const Platform& platform = resolved.description.platform;
  if (resolved.description.diff_ids.size() != resolved.manifest.layers.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the configuration has ", resolved.description.diff_ids.size(),
                     " layers, the manifest ", resolved.manifest.layers.size()));
  }
  if (!platform.os.empty() && platform.os != "linux") {
    return absl::UnimplementedError(absl::StrCat(name, ": image operating system \"", platform.os,
                                                 "\" cannot be used on this platform"));
  }
  if (command.platform.has_value() && (command.platform->os != platform.os ||
                                       command.platform->architecture != platform.architecture)) {
    return absl::NotFoundError(
        absl::StrCat("image with reference ", name,
                     " was found but does not match the specified platform: wanted ",
                     PlatformName(*command.platform), ", actual: ", PlatformName(platform)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LayerLease>> Puller::FetchLayers(const Resolved& resolved,
                                                            RegistryRepository& repository,
                                                            ProgressObserver& observer,
                                                            Cancellation& cancel) {
  const std::vector<Descriptor>& wanted = resolved.manifest.layers;
  std::vector<std::optional<LayerLease>> leases(wanted.size());
  std::vector<size_t> missing;
  for (size_t i = 0; i < wanted.size(); ++i) {
    leases[i] = catalog_.LeaseLayer(wanted[i].digest);
    const bool have = leases[i].has_value();
    observer.OnLayer({wanted[i].digest.ShortHex(),
                      have ? LayerPhase::kAlreadyExists : LayerPhase::kPullingFsLayer, 0, 0});
    if (!have) missing.push_back(i);
  }
  for (size_t i = kLayersAtOnce; i < missing.size(); ++i) {
    observer.OnLayer({wanted[missing[i]].digest.ShortHex(), LayerPhase::kWaiting, 0, 0});
  }
  absl::Mutex mu;
  absl::Status failure;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t at = next++; at < missing.size() && !cancel.cancelled(); at = next++) {
      const Descriptor& layer = wanted[missing[at]];
      absl::StatusOr<LayerLease> lease = transfers_.Fetch(layer, repository, observer, cancel);
      absl::Status status = lease.status();
      const Digest& diff_id = resolved.description.diff_ids[missing[at]];
      if (status.ok() && lease->layer().diff_id != diff_id) {
        status = absl::DataLossError(absl::StrCat("diffID is ", lease->layer().diff_id.ToString(),
                                                  ", the image says ", diff_id.ToString()));
      }
      if (status.ok()) {
        leases[missing[at]] = *std::move(lease);
        continue;
      }
      absl::MutexLock lock(&mu);
      if (failure.ok()) {
        failure = absl::IsCancelled(status)
                      ? status
                      : Annotate(status, absl::StrCat("layer ", layer.digest.ToString()));
      }
      cancel.Cancel();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kLayersAtOnce, missing.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure.ok() && cancel.cancelled()) failure = absl::CancelledError("the pull was cancelled");
  if (!failure.ok()) {
    leases.clear();
    const bool resumable = absl::IsCancelled(failure) || absl::IsUnavailable(failure);
    std::vector<Digest> fetched;
    for (const size_t i : missing) fetched.push_back(wanted[i].digest);
    if (!resumable) {
      catalog_.DropUnused(fetched);
      transfers_.DropPartials(fetched);
    }
    return failure;
  }
  std::vector<LayerLease> result;
  for (std::optional<LayerLease>& lease : leases) result.push_back(*std::move(lease));
  return result;
}

}  // namespace slipway::image
