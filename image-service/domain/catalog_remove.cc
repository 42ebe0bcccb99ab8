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

// Of an image's owners those that run, or may.
std::set<std::string> RunningOwners(const RemoveCommand& command,
                                    const std::set<std::string>& owners) {
  if (!command.running_owners.has_value()) return owners;
  std::set<std::string> running;
  for (const std::string& owner : owners) {
    if (command.running_owners->contains(owner)) running.insert(owner);
  }
  return running;
}

}  // namespace

absl::Status Catalog::CheckRemovable(const RemoveCommand& command, const ImageEntry& entry,
                                     bool by_id) const {
  const bool force = command.force;
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
        absl::StrCat("conflict: unable to remove repository reference \"", command.reference,
                     "\" (must force) - container ", ShortOwner(entry.owners),
                     " is using its referenced image ", entry.image->id.ShortHex()));
  }
  const std::set<std::string> running = RunningOwners(command, entry.owners);
  if (!running.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "conflict: unable to delete ", entry.image->id.ShortHex(),
        " (cannot be forced) - image is being used by ",
        command.running_owners.has_value() ? "running " : "", "container ", ShortOwner(running)));
  }
  if (!entry.holds.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("conflict: unable to delete ", entry.image->id.ShortHex(),
                     " (cannot be forced) - image is being used by a running build"));
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
  if (!entry.owners.empty() && !force) {
    return absl::FailedPreconditionError(absl::StrCat(
        "conflict: unable to delete ", entry.image->id.ShortHex(),
        " (must be forced) - image is being used by stopped container ", ShortOwner(entry.owners)));
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
    if (parent == images_.end() || !parent->second.references.empty() || parent->second.in_use() ||
        children_.at(parent->first) > 1) {
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
    const auto present = images_.find(id);
    const Image& image = *(present != images_.end() ? present : retired_.find(id))->second.image;
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

absl::StatusOr<Catalog::Removal> Catalog::StageRemove(const RemoveCommand& command,
                                                      MetadataBatch& batch,
                                                      RemoveOutcome& outcome) const {
  const std::string& reference = command.reference;
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
  RETURN_IF_ERROR(CheckRemovable(command, entry, by_id));
  batch.delete_references = ReferencesToDrop(reference, entry, by_id);
  for (const std::string& full : batch.delete_references) {
    const std::string name = references_.at(full).reference.FamiliarString();
    outcome.untagged.push_back(name);
    events_.Stage(batch, "untag", id.ToString(), {{"name", name}});
  }
  const bool last = batch.delete_references.size() == entry.references.size();
  // What others were committed on stays for them, and for a container that runs the image of which
  // the last name was forced away, and for a build.
  Removal removal;
  if (!last || HasChildren(id) || !entry.holds.empty() ||
      !RunningOwners(command, entry.owners).empty()) {
    return removal;
  }
  std::vector<Digest> gone = {id};
  if (entry.owners.empty()) {
    gone = Lineage(id, command.keep_parents);
    removal.freed = StageDelete(gone, batch, outcome);
  } else {
    removal.retired = id;
    outcome.deleted.push_back(id.ToString());
  }
  for (const Digest& one : gone) {
    events_.Stage(batch, "delete", one.ToString(), {{"name", one.ToString()}});
  }
  return removal;
}

void Catalog::ApplyRemove(const MetadataBatch& batch) {
  for (const std::string& full : batch.delete_references) DropReference(full);
  for (const Digest& id : batch.delete_images) {
    TakeOut(id);
    images_.erase(id);
    retired_.erase(id);
  }
  for (const Digest& blob : batch.delete_layers) layers_.erase(blob);
}

std::vector<Digest> Catalog::Abandoned() const {
  std::vector<Digest> abandoned;
  for (const auto& [id, entry] : retired_) {
    if (entry.owners.empty()) abandoned.push_back(id);
  }
  return abandoned;
}

absl::Status Catalog::RemoveAbandoned() {
  MetadataBatch batch;
  std::vector<Layer> freed;
  {
    absl::MutexLock lock(&mu_);
    const std::vector<Digest> abandoned = Abandoned();
    if (abandoned.empty()) return absl::OkStatus();
    RemoveOutcome ignored;
    freed = StageDelete(abandoned, batch, ignored);
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
  return absl::OkStatus();
}

absl::StatusOr<RemoveOutcome> Catalog::Remove(const RemoveCommand& command) {
  RemoveOutcome outcome;
  {
    absl::MutexLock commit_lock(&commit_mu_);
    MetadataBatch batch;
    Removal removal;
    {
      absl::MutexLock lock(&mu_);
      ASSIGN_OR_RETURN(removal, StageRemove(command, batch, outcome));
      // Nobody may begin to use what goes; a failure below puts it back.
      for (const Layer& layer : removal.freed) layers_[layer.blob].removing = true;
    }
    absl::Status stored;
    if (removal.retired.has_value()) {
      auto record = metadata_.ReadImage(*removal.retired);
      stored = record.status();
      if (stored.ok()) {
        record->removed = true;
        batch.put_images.push_back(*std::move(record));
      }
    }
    if (stored.ok()) stored = metadata_.Apply(batch);
    {
      absl::MutexLock lock(&mu_);
      for (const Layer& layer : removal.freed) layers_[layer.blob].removing = false;
      if (!stored.ok()) return stored;
      ApplyRemove(batch);
      if (removal.retired.has_value()) retired_.insert(images_.extract(*removal.retired));
    }
    RemoveFiles(removal.freed);
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
    auto removed = Remove({.reference = view.image->id.ToString(), .force = true});
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
