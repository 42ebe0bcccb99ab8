#include "image-service/domain/catalog.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

// How long a finished layer of an interrupted pull waits for the pull to come back.
constexpr absl::Duration kUnusedLayerAge = absl::Hours(24);

}  // namespace

void LayerLease::Release() {
  if (catalog_ != nullptr) std::exchange(catalog_, nullptr)->ReleaseLease(layer_.blob);
}

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(MetadataStore& metadata,
                                                       ContentStore& content, ImageFormat& format,
                                                       ImageMetrics& metrics) {
  ASSIGN_OR_RETURN(MetadataSnapshot snapshot, metadata.Load());
  std::unique_ptr<Catalog> catalog(
      new Catalog(metadata, content, format, metrics, std::move(snapshot.events)));
  RETURN_IF_ERROR(catalog->Restore(std::move(snapshot)));
  catalog->Report();
  return catalog;
}

absl::Status Catalog::Restore(MetadataSnapshot snapshot) {
  const bool verify = snapshot.clean_shutdown_boot_id.empty();
  if (!verify) {
    // From here on a stop is not an orderly one until Close says so.
    MetadataBatch batch;
    batch.clean_shutdown_boot_id = "";
    RETURN_IF_ERROR(metadata_.Apply(batch));
  }
  RETURN_IF_ERROR(RestoreLayers(std::move(snapshot.layers), verify));
  for (ImageRecord& record : snapshot.images) RETURN_IF_ERROR(RestoreImage(std::move(record)));
  RestoreReferences(snapshot);
  {
    absl::MutexLock commit_lock(&commit_mu_);
    RETURN_IF_ERROR(RemoveAbandoned());
  }

  // What an interrupted pull left and nobody came back for, and what is damaged and in no image.
  std::vector<Digest> stale;
  {
    absl::MutexLock lock(&mu_);
    const int64_t oldest = absl::ToUnixNanos(absl::Now() - kUnusedLayerAge);
    for (const auto& [blob, entry] : layers_) {
      if (entry.images > 0) continue;
      if (entry.damaged || entry.layer.created_unix_ns < oldest) stale.push_back(blob);
    }
  }
  DropUnused(stale);
  return verify ? SweepFiles() : absl::OkStatus();
}

absl::Status Catalog::SweepFiles() {
  std::set<Digest> files;
  std::set<Digest> blobs;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [blob, entry] : layers_) {
      blobs.insert(blob);
      files.insert(entry.layer.diff_id);
    }
  }
  ASSIGN_OR_RETURN(const int swept,
                   content_.Sweep([&](const Digest& digest) { return files.contains(digest); },
                                  [&](const Digest& digest) { return blobs.contains(digest); }));
  if (swept > 0) {
    Log(LogLevel::kInfo, "removed files that no image uses", {{"files", absl::StrCat(swept)}});
  }
  return absl::OkStatus();
}

void Catalog::Close() {
  absl::MutexLock commit_lock(&commit_mu_);
  MetadataBatch batch;
  std::vector<Layer> unsynced;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [blob, entry] : layers_) {
      if (entry.damaged) return;  // the next start shall see it too
      if (!entry.layer.unsynced_boot_id.empty()) unsynced.push_back(entry.layer);
    }
  }
  for (Layer& layer : unsynced) {
    if (const absl::Status status = content_.SyncLayer(layer.diff_id); !status.ok()) {
      Log(LogLevel::kWarning, status.message());
      return;
    }
    layer.unsynced_boot_id.clear();
    batch.put_layers.push_back(std::move(layer));
  }
  batch.clean_shutdown_boot_id = content_.BootId();
  if (const absl::Status status = metadata_.Apply(batch); !status.ok()) {
    Log(LogLevel::kWarning, status.message());
  }
}

absl::Status Catalog::RestoreLayers(std::vector<Layer> layers, bool verify) {
  MetadataBatch batch;
  for (Layer& layer : layers) {
    const bool after_power_cut =
        !layer.unsynced_boot_id.empty() && layer.unsynced_boot_id != content_.BootId();
    bool whole = !verify ||
                 ((layer.has_split() || content_.HasBlob(layer.blob, layer.blob_size_bytes)) &&
                  (after_power_cut || content_.HasLayer(layer.diff_id, layer.layer_file_bytes())));
    if (whole && !layer.unsynced_boot_id.empty()) {
      const absl::Status status =
          after_power_cut ? Rebuild(layer) : content_.SyncLayer(layer.diff_id);
      whole = status.ok();
      if (whole) {
        layer.unsynced_boot_id.clear();
        batch.put_layers.push_back(layer);
      } else {
        Log(LogLevel::kError, status.message(), {{"layer", layer.blob.ToString()}});
      }
    }
    if (!whole) {
      Log(LogLevel::kWarning, "a layer's files are not whole: they will be made or fetched again",
          {{"layer", layer.blob.ToString()}});
    }
    absl::MutexLock lock(&mu_);
    LayerEntry& entry = layers_[layer.blob];
    entry.layer = std::move(layer);
    entry.damaged = !whole;
  }
  return batch.put_layers.empty() ? absl::OkStatus() : metadata_.Apply(batch);
}

absl::Status Catalog::Rebuild(Layer& layer) {
  ASSIGN_OR_RETURN(const auto sink, content_.NewLayer({.any_compression = true}));
  RETURN_IF_ERROR(
      content_.ReadBlob(layer, [&](absl::string_view bytes) { return sink->Append(bytes); }));
  ASSIGN_OR_RETURN(const ConvertedLayer converted, sink->Finish());
  if (converted.blob != layer.blob || converted.diff_id != layer.diff_id) {
    return absl::DataLossError(absl::StrCat("blob ", layer.blob.ToString(), " was damaged"));
  }
  layer.erofs_size_bytes = converted.erofs_size_bytes;
  // One that is good already may have a split behind it, which another layer needs.
  const std::string path = content_.LayerPath(layer.diff_id);
  ASSIGN_OR_RETURN(const bool same, sink->SameAs(path));
  if (!same) RETURN_IF_ERROR(sink->Commit(path));
  return content_.SyncLayer(layer.diff_id);
}

absl::Status Catalog::RestoreImage(ImageRecord record) {
  absl::MutexLock lock(&mu_);
  absl::StatusOr<Image> image = BuildImage(record);
  if (!image.ok()) {
    // One bad record must not take all other images with it.
    Log(LogLevel::kError, "an image cannot be used; pull it again",
        {{"image", record.id.ToString()}, {"error", std::string(image.status().message())}});
    return absl::OkStatus();
  }
  InsertImage(std::make_shared<const Image>(*std::move(image)));
  if (record.removed) retired_.insert(images_.extract(record.id));
  return absl::OkStatus();
}

void Catalog::RestoreReferences(const MetadataSnapshot& snapshot) {
  absl::MutexLock lock(&mu_);
  for (const auto& [text, id] : snapshot.references) {
    const auto reference = ImageReference::Parse(text);
    if (reference.ok() && images_.contains(id)) PointReference(*reference, id);
  }
  for (const auto& [owner, ids] : snapshot.owners) {
    for (const Digest& id : ids) {
      auto found = images_.find(id);
      if (found == images_.end()) {
        found = retired_.find(id);
        if (found == retired_.end()) continue;
      }
      found->second.owners.insert(owner);
      owners_[owner].push_back(id);
    }
  }
}

absl::StatusOr<Image> Catalog::BuildImage(const ImageRecord& record) const {
  Image image;
  image.id = record.id;
  ASSIGN_OR_RETURN(image.description, format_.ParseConfig(record.config_json));
  image.manifest_digest = record.manifest_digest;
  image.manifest_media_type = record.manifest_media_type;
  image.last_tagged_unix_ns = record.last_tagged_unix_ns;
  image.parent = record.parent;
  image.committed_container = record.committed_container;
  for (const LayerReference& reference : record.layers) {
    const auto found = layers_.find(reference.blob);
    if (found == layers_.end()) {
      return absl::DataLossError(absl::StrCat("layer ", reference.blob.ToString(), " of image ",
                                              record.id.ToString(), " is missing"));
    }
    image.layers.push_back(found->second.layer);
    image.layers.back().media_type = reference.media_type;
  }
  image.chain_ids = ChainIds(image.layers);
  return image;
}

void Catalog::InsertImage(std::shared_ptr<const Image> image) {
  for (const Layer& layer : image->layers) ++layers_[layer.blob].images;
  if (!image->parent.empty()) ++children_[image->parent];
  const Digest id = image->id;
  images_[id].image = std::move(image);
}

void Catalog::TakeOut(const Digest& id) {
  const auto present = images_.find(id);
  const Image& image = *(present != images_.end() ? present : retired_.find(id))->second.image;
  for (const Layer& layer : image.layers) --layers_[layer.blob].images;
  const auto parent = children_.find(image.parent);
  if (parent != children_.end() && --parent->second == 0) children_.erase(parent);
}

bool Catalog::HasChildren(const Digest& id) const { return children_.contains(id); }

void Catalog::PointReference(const ImageReference& reference, const Digest& id) {
  const std::string full = reference.FullString();
  DropReference(full);
  references_[full] = {reference, id};
  images_[id].references.insert(full);
}

void Catalog::DropReference(const std::string& full) {
  const auto found = references_.find(full);
  if (found == references_.end()) return;
  const auto image = images_.find(found->second.image);
  if (image != images_.end()) image->second.references.erase(full);
  references_.erase(found);
}

std::optional<LayerLease> Catalog::LeaseLayer(const Digest& blob) {
  absl::MutexLock lock(&mu_);
  const auto found = layers_.find(blob);
  if (found == layers_.end() || found->second.removing || found->second.damaged) {
    return std::nullopt;
  }
  ++found->second.leases;
  return LayerLease(this, found->second.layer);
}

std::optional<LayerLease> Catalog::LeaseForRepair(const Digest& blob) {
  absl::MutexLock lock(&mu_);
  const auto found = layers_.find(blob);
  if (found == layers_.end() || found->second.removing) return std::nullopt;
  ++found->second.leases;
  return LayerLease(this, found->second.layer);
}

std::vector<Digest> Catalog::Blobs(bool only_damaged) const {
  std::vector<Digest> blobs;
  absl::MutexLock lock(&mu_);
  for (const auto& [blob, entry] : layers_) {
    if (entry.damaged || !only_damaged) blobs.push_back(blob);
  }
  return blobs;
}

void Catalog::MarkWhole(const Digest& blob) {
  {
    absl::MutexLock lock(&mu_);
    const auto found = layers_.find(blob);
    if (found != layers_.end()) found->second.damaged = false;
  }
  MarkSynced(blob);
}

void Catalog::MarkDamaged(const Digest& blob) {
  absl::MutexLock lock(&mu_);
  const auto found = layers_.find(blob);
  if (found != layers_.end()) found->second.damaged = true;
}

void Catalog::ReleaseLease(const Digest& blob) {
  absl::MutexLock lock(&mu_);
  const auto found = layers_.find(blob);
  if (found != layers_.end()) --found->second.leases;
}

absl::StatusOr<LayerLease> Catalog::AddLayer(const Layer& layer,
                                             const std::function<absl::Status(bool)>& commit) {
  absl::MutexLock commit_lock(&commit_mu_);
  bool have_file = false;
  {
    absl::MutexLock lock(&mu_);
    const auto found = layers_.find(layer.blob);
    if (found != layers_.end() && !found->second.damaged) {
      ++found->second.leases;
      return LayerLease(this, found->second.layer);
    }
    have_file = LayerFileUsed(layer.diff_id, /*whole=*/true);
  }
  RETURN_IF_ERROR(commit(have_file));
  MetadataBatch batch;
  batch.put_layers.push_back(layer);
  if (absl::Status status = metadata_.Apply(batch); !status.ok()) {
    (void)content_.RemoveBlob(layer.blob);
    if (!have_file) (void)content_.RemoveLayer(layer.diff_id);
    return status;
  }
  absl::MutexLock lock(&mu_);
  LayerEntry& entry = layers_[layer.blob];
  const std::vector<std::string> repositories = std::move(entry.layer.repositories);
  entry.layer = layer;
  for (const std::string& repository : repositories) entry.layer.AddRepository(repository);
  entry.damaged = false;
  ++entry.leases;
  return LayerLease(this, entry.layer);
}

void Catalog::MarkSynced(const Digest& blob) {
  absl::MutexLock commit_lock(&commit_mu_);
  MetadataBatch batch;
  {
    absl::MutexLock lock(&mu_);
    const auto found = layers_.find(blob);
    if (found == layers_.end()) return;
    found->second.layer.unsynced_boot_id.clear();
    batch.put_layers.push_back(found->second.layer);
  }
  const absl::Status status = metadata_.Apply(batch);
  if (!status.ok()) Log(LogLevel::kWarning, status.message());
}

bool Catalog::LayerFileUsed(const Digest& diff_id, bool whole) const {
  return std::any_of(layers_.begin(), layers_.end(), [&](const auto& item) {
    return item.second.layer.diff_id == diff_id && !(whole && item.second.damaged);
  });
}

void Catalog::DropUnused(const std::vector<Digest>& blobs) {
  if (blobs.empty()) return;
  {
    absl::MutexLock commit_lock(&commit_mu_);
    MetadataBatch batch;
    std::vector<Layer> dropped;
    {
      absl::MutexLock lock(&mu_);
      for (const Digest& blob : blobs) {
        const auto found = layers_.find(blob);
        if (found == layers_.end()) continue;
        if (found->second.images > 0 || found->second.leases > 0) continue;
        batch.delete_layers.push_back(blob);
        dropped.push_back(found->second.layer);
        layers_.erase(found);
      }
    }
    if (dropped.empty()) return;
    if (const absl::Status status = metadata_.Apply(batch); !status.ok()) {
      Log(LogLevel::kWarning, status.message());
    }
    RemoveFiles(dropped);
  }
  content_.EmptyTrash();
  Report();
}

void Catalog::RemoveFiles(const std::vector<Layer>& layers) {
  for (const Layer& layer : layers) {
    absl::Status status = content_.RemoveBlob(layer.blob);
    bool used;
    {
      absl::MutexLock lock(&mu_);
      used = LayerFileUsed(layer.diff_id, /*whole=*/false);
    }
    if (!used) status.Update(content_.RemoveLayer(layer.diff_id));
    // The next start sweeps what is left.
    if (!status.ok()) Log(LogLevel::kWarning, status.message());
  }
}

void Catalog::Report() const {
  absl::MutexLock lock(&mu_);
  int64_t blob_bytes = 0;
  int64_t layer_bytes = 0;
  std::set<Digest> files;
  for (const auto& [blob, entry] : layers_) {
    blob_bytes += entry.layer.stored_blob_bytes();
    if (files.insert(entry.layer.diff_id).second) layer_bytes += entry.layer.erofs_size_bytes;
  }
  metrics_.OnStore(static_cast<int64_t>(images_.size()), static_cast<int64_t>(files.size()),
                   blob_bytes, layer_bytes);
}

}  // namespace slipway::image
