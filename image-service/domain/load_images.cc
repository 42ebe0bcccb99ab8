#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/domain/load_session.h"
#include "image-service/domain/media_types.h"

// The second half of a load: from the documents of the archive to images.
namespace slipway::image {
namespace {

std::string BlobPathOf(const Digest& digest) { return absl::StrCat("blobs/sha256/", digest.hex()); }

// The name that an index entry carries; containerd writes it in full, others only the tag.
std::vector<ImageReference> NamesOf(const IndexEntry& entry) {
  for (const std::string& text : {entry.name, entry.tag}) {
    // A bare tag ("latest") names no repository.
    if (text.empty() || (!absl::StrContains(text, ':') && !absl::StrContains(text, '/'))) continue;
    const auto reference = ImageReference::Parse(text);
    if (reference.ok() && !reference->tag().empty()) {
      return {reference->WithTag(reference->tag())};
    }
  }
  return {};
}

}  // namespace

absl::Status LoadSession::SetConfig(Found& found, std::string config_json) const {
  ASSIGN_OR_RETURN(found.description, format_.ParseConfig(config_json));
  found.id = Digest::OfBytes(config_json);
  found.config_json = std::move(config_json);
  const std::string& os = found.description.platform.os;
  if (!os.empty() && os != "linux") {
    return absl::UnimplementedError(
        absl::StrCat("image operating system \"", os, "\" cannot be used on this platform"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LoadSession::Found>> LoadSession::FromDockerManifest(
    const std::string& json) const {
  ASSIGN_OR_RETURN(const std::vector<ArchiveEntry> entries, format_.ParseArchive(json));
  std::vector<Found> images;
  for (const ArchiveEntry& entry : entries) {
    Found found;
    ASSIGN_OR_RETURN(std::string config_json, Document(entry.config));
    RETURN_IF_ERROR(SetConfig(found, std::move(config_json)));
    for (const std::string& path : entry.layers) {
      ASSIGN_OR_RETURN(Digest blob, LayerAt(path));
      found.blobs.push_back(std::move(blob));
    }
    for (const std::string& name : entry.repo_tags) {
      ASSIGN_OR_RETURN(const ImageReference reference, ImageReference::Parse(name));
      if (reference.tag().empty()) {
        return absl::InvalidArgumentError(absl::StrCat("invalid tag \"", name, "\""));
      }
      found.names.push_back(reference.WithTag(reference.tag()));
    }
    images.push_back(std::move(found));
  }
  return images;
}

absl::StatusOr<LoadSession::Found> LoadSession::FromOciManifest(const IndexEntry& entry) const {
  ASSIGN_OR_RETURN(std::string json, Document(BlobPathOf(entry.manifest.digest)));
  ASSIGN_OR_RETURN(ManifestOrIndex parsed, format_.ParseManifest(json, entry.manifest.media_type));
  if (const auto* index = std::get_if<std::vector<IndexEntry>>(&parsed)) {
    const int chosen = SelectPlatform(*index, HostPlatform());
    if (chosen < 0) {
      return absl::NotFoundError(absl::StrCat("no manifest for ", PlatformName(HostPlatform()),
                                              " in the index ", entry.manifest.digest.ToString()));
    }
    IndexEntry inner = (*index)[static_cast<size_t>(chosen)];
    ASSIGN_OR_RETURN(json, Document(BlobPathOf(inner.manifest.digest)));
    ASSIGN_OR_RETURN(parsed, format_.ParseManifest(json, inner.manifest.media_type));
  }
  const Manifest* manifest = std::get_if<Manifest>(&parsed);
  if (manifest == nullptr) return absl::InvalidArgumentError("an index within an index");
  Found found;
  ASSIGN_OR_RETURN(std::string config_json, Document(BlobPathOf(manifest->config.digest)));
  RETURN_IF_ERROR(SetConfig(found, std::move(config_json)));
  for (const Descriptor& layer : manifest->layers) {
    ASSIGN_OR_RETURN(Digest blob, LayerAt(BlobPathOf(layer.digest)));
    found.blobs.push_back(std::move(blob));
    found.media_types.push_back(layer.media_type);
  }
  found.manifest_digest = Digest::OfBytes(json);
  found.manifest_media_type = manifest->media_type;
  found.manifest_json = std::move(json);
  found.names = NamesOf(entry);
  return found;
}

absl::StatusOr<std::vector<LoadSession::Found>> LoadSession::FromIndex(
    const std::string& json) const {
  ASSIGN_OR_RETURN(const ManifestOrIndex parsed, format_.ParseManifest(json, ""));
  const auto* index = std::get_if<std::vector<IndexEntry>>(&parsed);
  if (index == nullptr) return absl::InvalidArgumentError("index.json is not an image index");
  std::vector<Found> images;
  for (const IndexEntry& entry : *index) {
    ASSIGN_OR_RETURN(Found found, FromOciManifest(entry));
    images.push_back(std::move(found));
  }
  return images;
}

void LoadSession::AdoptManifests(const std::string& index_json, std::vector<Found>& images) const {
  const auto parsed = format_.ParseManifest(index_json, "");
  const auto* index = parsed.ok() ? std::get_if<std::vector<IndexEntry>>(&*parsed) : nullptr;
  if (index == nullptr) return;
  for (const IndexEntry& entry : *index) {
    absl::StatusOr<Found> described = FromOciManifest(entry);
    if (!described.ok()) continue;
    for (Found& image : images) {
      if (image.id != described->id || image.blobs != described->blobs) continue;
      image.media_types = described->media_types;
      image.manifest_json = described->manifest_json;
      image.manifest_digest = described->manifest_digest;
      image.manifest_media_type = described->manifest_media_type;
    }
  }
}

void LoadSession::WriteManifest(Found& found, const std::vector<LayerLease>& layers) const {
  Manifest manifest;
  manifest.media_type = kOciManifestType;
  manifest.config = {kOciConfigType, found.id, static_cast<int64_t>(found.config_json.size())};
  for (const LayerLease& lease : layers) {
    const Layer& layer = lease.layer();
    manifest.layers.push_back({layer.media_type, layer.blob, layer.blob_size_bytes});
  }
  found.manifest_json = format_.WriteManifest(manifest);
  found.manifest_digest = Digest::OfBytes(found.manifest_json);
  found.manifest_media_type = kOciManifestType;
}

absl::Status LoadSession::PutImage(Found& found, std::vector<LoadedName>& loaded) {
  const std::vector<Digest>& diff_ids = found.description.diff_ids;
  if (diff_ids.size() != found.blobs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid manifest, layers length mismatch: expected ", found.blobs.size(),
                     ", got ", diff_ids.size()));
  }
  PutImageCommand put;
  for (size_t i = 0; i < found.blobs.size(); ++i) {
    std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(found.blobs[i]);
    if (!lease.has_value()) return absl::InternalError("a loaded layer is gone");
    if (lease->layer().diff_id != diff_ids[i]) {
      return absl::DataLossError(absl::StrCat("invalid diffID for layer ", i, ": expected \"",
                                              diff_ids[i].ToString(), "\", got \"",
                                              lease->layer().diff_id.ToString(), "\""));
    }
    put.layers.push_back(std::move(*lease));
  }
  if (found.manifest_json.empty()) WriteManifest(found, put.layers);
  put.record.id = found.id;
  put.record.config_json = found.config_json;
  put.record.manifest_json = found.manifest_json;
  put.record.manifest_digest = found.manifest_digest;
  put.record.manifest_media_type = found.manifest_media_type;
  for (size_t i = 0; i < put.layers.size(); ++i) {
    const Layer& layer = put.layers[i].layer();
    put.record.layers.push_back(
        {layer.blob, layer.diff_id,
         found.media_types.empty() ? layer.media_type : found.media_types[i]});
  }
  put.references = found.names;
  put.action = "load";
  RETURN_IF_ERROR(parts_.catalog.Put(std::move(put)).status());
  for (const ImageReference& name : found.names) {
    loaded.push_back({found.id, name.FamiliarString()});
  }
  if (found.names.empty()) loaded.push_back({found.id, ""});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LoadedName>> LoadSession::PutImages() {
  std::vector<Found> images;
  // Newer `docker save` writes both; only manifest.json has all names.
  if (documents_.contains("manifest.json") || links_.contains("manifest.json")) {
    ASSIGN_OR_RETURN(const std::string json, Document("manifest.json"));
    ASSIGN_OR_RETURN(images, FromDockerManifest(json));
    if (documents_.contains("index.json")) AdoptManifests(documents_.at("index.json"), images);
  } else if (documents_.contains("index.json")) {
    ASSIGN_OR_RETURN(images, FromIndex(documents_.at("index.json")));
  } else {
    return absl::InvalidArgumentError(
        "archive has neither manifest.json nor index.json: not an image");
  }
  if (images.empty()) return absl::InvalidArgumentError("archive has no images");
  std::vector<LoadedName> loaded;
  for (Found& found : images) RETURN_IF_ERROR(PutImage(found, loaded));
  return loaded;
}

}  // namespace slipway::image
