#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/catalog.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxHoldBytes = 256;
constexpr size_t kMaxHolds = 1024;

}  // namespace

bool Catalog::IsUpToDate(const PutImageCommand& command) const {
  const auto found = images_.find(command.record.id);
  if (found == images_.end()) return false;
  const Image& image = *found->second.image;
  if (image.manifest_digest != command.record.manifest_digest) return false;
  for (const ImageReference& reference : command.references) {
    if (!found->second.references.contains(reference.FullString())) return false;
  }
  return true;
}

absl::StatusOr<PutImageOutcome> Catalog::Put(PutImageCommand command) {
  std::vector<Digest> replaced;
  absl::StatusOr<PutImageOutcome> outcome = PutImage(command, replaced);
  DropUnused(replaced);
  Report();
  return outcome;
}

void Catalog::StageRepository(const std::vector<Digest>& blobs, const std::string& repository,
                              MetadataBatch& batch) {
  for (const Digest& blob : blobs) {
    const auto found = layers_.find(blob);
    if (found == layers_.end() || !found->second.layer.AddRepository(repository)) continue;
    batch.put_layers.push_back(found->second.layer);
  }
}

absl::StatusOr<PutImageOutcome> Catalog::PutImage(PutImageCommand& command,
                                                  std::vector<Digest>& replaced) {
  absl::MutexLock commit_lock(&commit_mu_);
  command.record.last_tagged_unix_ns = absl::GetCurrentTimeNanos();
  PutImageOutcome outcome;
  MetadataBatch batch;
  std::shared_ptr<const Image> image;
  {
    absl::MutexLock lock(&mu_);
    // One that was removed from under its containers is an image again.
    const bool returns = retired_.contains(command.record.id);
    if (returns) images_.insert(retired_.extract(command.record.id));
    outcome.changed = returns || !IsUpToDate(command);
    const auto old = images_.find(command.record.id);
    // Its blobs stay those that it came with, unless it comes from a registry now: these are what
    // its repository knows.
    const bool keep = old != images_.end() && command.action != "pull" && !returns;
    if (keep || !outcome.changed) {
      image = old->second.image;
    } else {
      if (old != images_.end()) {
        command.record.parent = old->second.image->parent;
        command.record.committed_container = old->second.image->committed_container;
      }
      ASSIGN_OR_RETURN(Image built, BuildImage(command.record));
      image = std::make_shared<const Image>(std::move(built));
      batch.put_images.push_back(command.record);
    }
  }
  if (!command.repository.empty()) {
    std::vector<Digest> blobs;
    for (const LayerReference& layer : command.record.layers) blobs.push_back(layer.blob);
    absl::MutexLock lock(&mu_);
    StageRepository(blobs, command.repository, batch);
  }
  if (outcome.changed) {
    for (const ImageReference& reference : command.references) {
      batch.put_references.emplace_back(reference.FullString(), command.record.id);
    }
  }
  if (!command.action.empty()) {
    std::map<std::string, std::string> attributes = image->description.config.labels;
    const std::string id = command.record.id.ToString();
    attributes["name"] = command.name.empty() ? id : command.name;
    events_.Stage(batch, command.action, command.actor.empty() ? id : command.actor,
                  std::move(attributes));
  }
  RETURN_IF_ERROR(metadata_.Apply(batch));

  {
    absl::MutexLock lock(&mu_);
    if (!batch.put_images.empty()) {
      const auto old = images_.find(image->id);
      if (old != images_.end()) {
        for (const Layer& layer : old->second.image->layers) replaced.push_back(layer.blob);
        TakeOut(image->id);
      }
      InsertImage(image);
    }
    if (outcome.changed) {
      for (const ImageReference& reference : command.references) {
        PointReference(reference, image->id);
      }
    }
    TakeHolds(command);
    outcome.image = image;
  }
  events_.Publish(batch);
  return outcome;
}

void Catalog::TakeHolds(const PutImageCommand& command) {
  ImageEntry& entry = images_.at(command.record.id);
  if (holds_.contains(command.hold)) entry.holds.insert(command.hold);
  const auto parent = images_.find(command.record.parent);
  if (parent == images_.end()) return;
  entry.holds.insert(parent->second.holds.begin(), parent->second.holds.end());
}

absl::Status Catalog::OpenHold(const std::string& hold) {
  if (hold.empty() || hold.size() > kMaxHoldBytes) {
    return absl::InvalidArgumentError("the name of a hold must have 1 to 256 bytes");
  }
  absl::MutexLock lock(&mu_);
  if (holds_.size() >= kMaxHolds) return absl::ResourceExhaustedError("too many holds of images");
  if (!holds_.insert(hold).second) return absl::AlreadyExistsError("there is a hold of that name");
  return absl::OkStatus();
}

void Catalog::CloseHold(const std::string& hold) {
  absl::MutexLock lock(&mu_);
  if (holds_.erase(hold) == 0) return;
  for (auto& [id, entry] : images_) entry.holds.erase(hold);
}

absl::StatusOr<ImageView> Catalog::Hold(absl::string_view reference, const std::string& hold) {
  // What is being removed is not taken any more.
  absl::MutexLock commit_lock(&commit_mu_);
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const Digest id, Resolve(reference));
  ImageEntry& entry = images_.at(id);
  if (holds_.contains(hold)) entry.holds.insert(hold);
  return View(entry);
}

absl::StatusOr<std::optional<Catalog::OwnImage>> Catalog::LeaseOwn(const Digest& id) {
  std::vector<Digest> blobs;
  {
    absl::MutexLock lock(&mu_);
    const auto found = images_.find(id);
    if (found == images_.end()) return std::optional<OwnImage>();
    bool made_here = false;
    for (const Layer& layer : found->second.image->layers) {
      made_here = made_here || layer.has_split();
      blobs.push_back(layer.blob);
    }
    if (!made_here) return std::optional<OwnImage>();
  }
  OwnImage own;
  for (const Digest& blob : blobs) {
    std::optional<LayerLease> lease = LeaseLayer(blob);
    if (!lease.has_value()) return std::optional<OwnImage>();
    own.layers.push_back(*std::move(lease));
  }
  ASSIGN_OR_RETURN(own.record, metadata_.ReadImage(id));
  return own;
}

absl::Status Catalog::RecordPush(const Digest& id, const ImageReference& reference,
                                 const Digest& manifest,
                                 const std::map<Digest, SentBlob>& gzipped) {
  const ImageReference digested = reference.WithDigest(manifest);
  absl::MutexLock commit_lock(&commit_mu_);
  MetadataBatch batch;
  events_.Stage(batch, "push", reference.FamiliarString(), {{"name", reference.FamiliarName()}});
  bool present = false;
  {
    absl::MutexLock lock(&mu_);
    const auto found = images_.find(id);
    present = found != images_.end();  // it may have been removed meanwhile
    if (present) {
      std::vector<Digest> blobs;
      for (const Layer& layer : found->second.image->layers) blobs.push_back(layer.blob);
      for (const auto& [blob, sent] : gzipped) {
        const auto layer = layers_.find(blob);
        if (layer == layers_.end()) continue;
        layer->second.layer.gzip = sent.digest;
        layer->second.layer.gzip_size_bytes = sent.size_bytes;
        batch.put_layers.push_back(layer->second.layer);
      }
      StageRepository(blobs, reference.Name(), batch);
      batch.put_references.emplace_back(digested.FullString(), id);
    }
  }
  RETURN_IF_ERROR(metadata_.Apply(batch));
  if (present) {
    absl::MutexLock lock(&mu_);
    PointReference(digested, id);
  }
  events_.Publish(batch);
  return absl::OkStatus();
}

absl::Status Catalog::Tag(absl::string_view source, absl::string_view target) {
  ASSIGN_OR_RETURN(const ImageReference parsed, ImageReference::Parse(target));
  if (!parsed.digest().empty()) {
    return absl::InvalidArgumentError("refusing to create a tag with a digest reference");
  }
  const ImageReference reference = parsed.WithDefaultTag();
  absl::MutexLock commit_lock(&commit_mu_);
  MetadataBatch batch;
  Digest id;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(id, Resolve(source));
    events_.Stage(batch, "tag", id.ToString(), {{"name", reference.FamiliarString()}});
  }
  ASSIGN_OR_RETURN(ImageRecord record, metadata_.ReadImage(id));
  record.last_tagged_unix_ns = absl::GetCurrentTimeNanos();
  batch.put_references.emplace_back(reference.FullString(), id);
  const int64_t now_ns = record.last_tagged_unix_ns;
  batch.put_images.push_back(std::move(record));
  RETURN_IF_ERROR(metadata_.Apply(batch));
  {
    absl::MutexLock lock(&mu_);
    PointReference(reference, id);
    Image copy = *images_.at(id).image;
    copy.last_tagged_unix_ns = now_ns;
    images_.at(id).image = std::make_shared<const Image>(std::move(copy));
  }
  events_.Publish(batch);
  return absl::OkStatus();
}

absl::StatusOr<ImageView> Catalog::Acquire(absl::string_view reference, absl::string_view owner) {
  if (owner.empty() || owner.size() > 256) {
    return absl::InvalidArgumentError("owner of an image must have 1 to 256 bytes");
  }
  const std::string name(owner);
  absl::MutexLock commit_lock(&commit_mu_);
  MetadataBatch batch;
  Digest id;
  {
    absl::MutexLock lock(&mu_);
    const auto held = owners_.find(name);
    std::vector<Digest> ids;
    if (held != owners_.end()) ids = held->second;
    for (const Digest& own : ids) {
      // What was removed from under it is still its own.
      const auto retired = retired_.find(own);
      if (retired != retired_.end() && own.ToString() == reference) return View(retired->second);
    }
    ASSIGN_OR_RETURN(id, Resolve(reference));
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) return View(images_.at(id));
    ids.push_back(id);
    batch.put_owners.emplace_back(name, std::move(ids));
  }
  RETURN_IF_ERROR(metadata_.Apply(batch));
  absl::MutexLock lock(&mu_);
  owners_[name] = batch.put_owners[0].second;
  ImageEntry& entry = images_.at(id);
  entry.owners.insert(name);
  return View(entry);
}

absl::Status Catalog::Release(absl::string_view owner) {
  const std::string name(owner);
  absl::MutexLock commit_lock(&commit_mu_);
  {
    absl::MutexLock lock(&mu_);
    if (!owners_.contains(name)) return absl::OkStatus();
  }
  MetadataBatch batch;
  batch.delete_owners.push_back(name);
  RETURN_IF_ERROR(metadata_.Apply(batch));
  {
    absl::MutexLock lock(&mu_);
    for (const Digest& id : owners_[name]) {
      for (auto* images : {&images_, &retired_}) {
        const auto found = images->find(id);
        if (found != images->end()) found->second.owners.erase(name);
      }
    }
    owners_.erase(name);
    if (Abandoned().empty()) return absl::OkStatus();
  }
  return RemoveAbandoned();
}

}  // namespace slipway::image
