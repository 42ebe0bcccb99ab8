#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/domain/catalog.h"

// What `docker rmi` does, after dockerd 20.10's answers: a name is untagged, and the image goes
// with its last name; an id goes with its names when these are of one repository.
namespace slipway::image {
namespace {

std::string ShortOwner(const std::set<std::string>& owners) {
  return owners.begin()->substr(0, 12);
}

}  // namespace

absl::Status Catalog::CheckRemovable(absl::string_view reference, const ImageEntry& entry,
                                     bool by_id, bool force) const {
  std::set<std::string> repositories;
  int tags = 0;
  for (const std::string& full : entry.references) {
    const ImageReference& name = references_.at(full).reference;
    repositories.insert(name.Name());
    if (!name.tag().empty()) ++tags;
  }
  const bool single = repositories.size() <= 1 && tags <= 1;
  if (!by_id) {
    if (force || !single || entry.owners.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("conflict: unable to remove repository reference \"", reference,
                     "\" (must force) - container ", ShortOwner(entry.owners),
                     " is using its referenced image ", entry.image->id.ShortHex()));
  }
  if (!entry.owners.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "conflict: unable to delete ", entry.image->id.ShortHex(),
        " (cannot be forced) - image is being used by container ", ShortOwner(entry.owners)));
  }
  if (HasChildren(entry.image->id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("conflict: unable to delete ", entry.image->id.ShortHex(),
                     " (cannot be forced) - image has dependent child images"));
  }
  if (!single && !force) {
    return absl::FailedPreconditionError(
        absl::StrCat("conflict: unable to delete ", entry.image->id.ShortHex(),
                     " (must be forced) - image is referenced in multiple repositories"));
  }
  return absl::OkStatus();
}

std::vector<std::string> Catalog::ReferencesToDrop(absl::string_view reference,
                                                   const ImageEntry& entry, bool by_id) const {
  if (by_id) return {entry.references.begin(), entry.references.end()};
  const ImageReference wanted = ImageReference::Parse(reference)->WithDefaultTag();
  const std::string full = wanted.digest().empty()
                               ? wanted.FullString()
                               : wanted.WithDigest(wanted.digest()).FullString();
  std::vector<std::string> dropped = {full};
  if (!wanted.digest().empty()) return dropped;
  // Digests of a repository go with its last tag.
  std::vector<std::string> digests;
  for (const std::string& other : entry.references) {
    const ImageReference& name = references_.at(other).reference;
    if (other == full || name.Name() != wanted.Name()) continue;
    if (name.digest().empty()) return dropped;
    digests.push_back(other);
  }
  dropped.insert(dropped.end(), digests.begin(), digests.end());
  return dropped;
}

std::vector<Digest> Catalog::Lineage(const Digest& id, bool keep_parents) const {
  std::vector<Digest> ids = {id};
  while (!keep_parents) {
    const auto parent = images_.find(images_.at(ids.back()).image->parent);
    if (parent == images_.end() || !parent->second.references.empty() ||
        !parent->second.owners.empty() || children_.at(parent->first) > 1) {
      break;
    }
    ids.push_back(parent->first);
  }
  return ids;
}

std::vector<Layer> Catalog::StageDelete(const std::vector<Digest>& ids, MetadataBatch& batch,
                                        RemoveOutcome& outcome) const {
  std::map<Digest, int> gone;  // uses that end, by blob
  std::vector<Layer> freed;
  for (const Digest& id : ids) {
    const Image& image = *images_.at(id).image;
    batch.delete_images.push_back(id);
    outcome.deleted.push_back(id.ToString());
    for (const Layer& layer : image.layers) ++gone[layer.blob];
    for (size_t i = image.layers.size(); i > 0; --i) {
      const Layer& layer = image.layers[i - 1];
      const LayerEntry& held = layers_.at(layer.blob);
      if (held.leases > 0 || held.images > gone[layer.blob]) continue;
      const bool file_stays = std::any_of(layers_.begin(), layers_.end(), [&](const auto& item) {
        return item.second.layer.diff_id == layer.diff_id && item.first != layer.blob;
      });
      if (!file_stays) outcome.deleted.push_back(image.chain_ids[i - 1].ToString());
      const bool listed = std::any_of(freed.begin(), freed.end(),
                                      [&](const Layer& other) { return other.blob == layer.blob; });
      if (listed) continue;
      batch.delete_layers.push_back(layer.blob);
      outcome.freed_bytes += layer.content_size_bytes;
      freed.push_back(layer);
    }
  }
  return freed;
}

absl::StatusOr<std::vector<Layer>> Catalog::StageRemove(absl::string_view reference, bool force,
                                                        bool keep_parents, MetadataBatch& batch,
                                                        RemoveOutcome& outcome) const {
  ASSIGN_OR_RETURN(const Digest id, Resolve(reference));
  const ImageEntry& entry = images_.at(id);
  // Resolved through an id when no name of that spelling points here.
  const auto parsed = ImageReference::Parse(reference);
  bool by_id = true;
  if (parsed.ok()) {
    const ImageReference wanted = parsed->WithDefaultTag();
    const auto full = wanted.digest().empty() ? wanted : wanted.WithDigest(wanted.digest());
    by_id = !entry.references.contains(full.FullString());
  }
  RETURN_IF_ERROR(CheckRemovable(reference, entry, by_id, force));
  batch.delete_references = ReferencesToDrop(reference, entry, by_id);
  for (const std::string& full : batch.delete_references) {
    const std::string name = references_.at(full).reference.FamiliarString();
    outcome.untagged.push_back(name);
    events_.Stage(batch, "untag", id.ToString(), {{"name", name}});
  }
  const bool last = batch.delete_references.size() == entry.references.size();
  // A container keeps the image of which the last name was forced away; what others were committed
  // on stays for them.
  if (!last || !entry.owners.empty() || HasChildren(id)) return std::vector<Layer>();
  const std::vector<Digest> ids = Lineage(id, keep_parents);
  std::vector<Layer> freed = StageDelete(ids, batch, outcome);
  for (const Digest& gone : ids) {
    events_.Stage(batch, "delete", gone.ToString(), {{"name", gone.ToString()}});
  }
  return freed;
}

void Catalog::ApplyRemove(const MetadataBatch& batch) {
  for (const std::string& full : batch.delete_references) DropReference(full);
  for (const Digest& id : batch.delete_images) {
    TakeOut(id);
    images_.erase(id);
  }
  for (const Digest& blob : batch.delete_layers) layers_.erase(blob);
}

absl::StatusOr<RemoveOutcome> Catalog::Remove(absl::string_view reference, bool force,
                                              bool keep_parents) {
  RemoveOutcome outcome;
  {
    absl::MutexLock commit_lock(&commit_mu_);
    MetadataBatch batch;
    std::vector<Layer> freed;
    {
      absl::MutexLock lock(&mu_);
      ASSIGN_OR_RETURN(freed, StageRemove(reference, force, keep_parents, batch, outcome));
      // Nobody may begin to use what goes; a failure below puts it back.
      for (const Layer& layer : freed) layers_[layer.blob].removing = true;
    }
    const absl::Status stored = metadata_.Apply(batch);
    {
      absl::MutexLock lock(&mu_);
      for (const Layer& layer : freed) layers_[layer.blob].removing = false;
      if (!stored.ok()) return stored;
      ApplyRemove(batch);
    }
    RemoveFiles(freed);
    events_.Publish(batch);
  }
  content_.EmptyTrash();
  Report();
  return outcome;
}

absl::StatusOr<RemoveOutcome> Catalog::Prune(const PruneFilter& filter) {
  ListFilter list;
  list.labels = filter.labels;
  list.until_unix_ns = filter.until_unix_ns;
  if (!filter.all) list.dangling = true;
  ASSIGN_OR_RETURN(const std::vector<ImageView> views, List(list));
  RemoveOutcome outcome;
  for (const ImageView& view : views) {
    const auto& labels = view.image->description.config.labels;
    const bool kept =
        std::any_of(filter.not_labels.begin(), filter.not_labels.end(),
                    [&](const std::string& label) { return HasLabel(labels, label); });
    if (kept || view.owner_count > 0) continue;
    // One that came into use meanwhile stays.
    auto removed = Remove(view.image->id.ToString(), /*force=*/true, /*keep_parents=*/false);
    if (absl::IsFailedPrecondition(removed.status()) || absl::IsNotFound(removed.status()))
      continue;
    RETURN_IF_ERROR(removed.status());
    outcome.untagged.insert(outcome.untagged.end(), removed->untagged.begin(),
                            removed->untagged.end());
    outcome.deleted.insert(outcome.deleted.end(), removed->deleted.begin(), removed->deleted.end());
    outcome.freed_bytes += removed->freed_bytes;
  }
  return outcome;
}

}  // namespace slipway::image
