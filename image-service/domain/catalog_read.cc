#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "image-service/domain/catalog.h"

namespace slipway::image {
namespace {

bool IsHexPrefix(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// Docker's sum: layers are the same where all below them are.
void SetSharedSizes(const std::map<Digest, int>& uses, std::vector<ImageView>& views) {
  for (ImageView& view : views) {
    const Image& image = *view.image;
    int64_t shared_bytes = 0;
    for (size_t i = 0; i < image.layers.size(); ++i) {
      if (uses.at(image.chain_ids[i]) > 1) shared_bytes += image.layers[i].content_size_bytes;
    }
    view.shared_size_bytes = shared_bytes;
  }
}

absl::Status NoSuchImage(absl::string_view reference) {
  return absl::NotFoundError(absl::StrCat("No such image: ", reference.substr(0, 300)));
}

}  // namespace

bool HasLabel(const std::map<std::string, std::string>& labels, absl::string_view wanted) {
  const size_t equals = wanted.find('=');
  const auto found = labels.find(std::string(wanted.substr(0, equals)));
  if (found == labels.end()) return false;
  return equals == absl::string_view::npos || found->second == wanted.substr(equals + 1);
}

absl::StatusOr<Digest> Catalog::Resolve(absl::string_view text) const {
  absl::string_view hex = text;
  const bool explicit_id = absl::ConsumePrefix(&hex, "sha256:");
  if (!explicit_id && !(hex.size() == 64 && IsHexPrefix(hex))) {
    ASSIGN_OR_RETURN(const ImageReference parsed, ImageReference::Parse(text));
    const ImageReference reference = parsed.WithDefaultTag();
    auto found = references_.find(reference.FullString());
    // "name:tag@digest": the digest decides.
    if (found == references_.end() && !reference.digest().empty()) {
      found = references_.find(reference.WithDigest(reference.digest()).FullString());
    }
    if (found != references_.end()) return found->second.image;
    // "name@<image id>", as Docker takes it for images without a digest of their own.
    if (!reference.digest().empty()) {
      const auto image = images_.find(reference.digest());
      if (image != images_.end()) {
        for (const std::string& full : image->second.references) {
          if (references_.at(full).reference.Name() == reference.Name()) return image->first;
        }
      }
    }
    if (!IsHexPrefix(hex)) return NoSuchImage(reference.FamiliarString());
  }
  if (!IsHexPrefix(hex)) return NoSuchImage(text);
  const std::string prefix = absl::StrCat("sha256:", hex);
  std::optional<Digest> match;
  for (const auto& [id, entry] : images_) {
    if (!absl::StartsWith(id.ToString(), prefix)) continue;
    if (match.has_value()) {
      return absl::NotFoundError(
          absl::StrCat("No such image: ", text, ": more than one image id begins like this"));
    }
    match = id;
  }
  if (match.has_value()) return *match;
  const auto parsed = ImageReference::Parse(text);
  return NoSuchImage(!explicit_id && parsed.ok() ? parsed->WithDefaultTag().FamiliarString()
                                                 : text);
}

ImageView Catalog::View(const ImageEntry& entry) const {
  ImageView view;
  view.image = entry.image;
  view.owner_count = static_cast<int>(entry.owners.size());
  for (const std::string& full : entry.references) {
    const ImageReference& reference = references_.at(full).reference;
    std::vector<std::string>& names =
        reference.digest().empty() ? view.repo_tags : view.repo_digests;
    names.push_back(reference.FamiliarString());
  }
  return view;
}

absl::StatusOr<ImageView> Catalog::Get(absl::string_view reference) const {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const Digest id, Resolve(reference));
  return View(images_.at(id));
}

bool Catalog::Matches(const ListFilter& filter, ImageView& view) const {
  const auto& labels = view.image->description.config.labels;
  for (const std::string& label : filter.labels) {
    if (!HasLabel(labels, label)) return false;
  }
  const bool nameless = view.repo_tags.empty() && view.repo_digests.empty();
  // Docker's words: "dangling" is what has no tag, "not dangling" what has any name.
  if (filter.dangling.has_value() && (*filter.dangling ? !view.repo_tags.empty() : nameless)) {
    return false;
  }
  if (filter.references.empty()) return true;
  // Docker shows only those names of an image that the filter asked for.
  const auto unwanted = [&](const std::string& name) {
    const auto reference = ImageReference::Parse(name);
    return !reference.ok() ||
           std::none_of(filter.references.begin(), filter.references.end(),
                        [&](const std::string& glob) { return FamiliarMatch(glob, *reference); });
  };
  std::erase_if(view.repo_tags, unwanted);
  std::erase_if(view.repo_digests, unwanted);
  return !view.repo_tags.empty() || !view.repo_digests.empty();
}

absl::StatusOr<std::vector<ImageView>> Catalog::List(const ListFilter& filter) const {
  std::vector<ImageView> views;
  int64_t before_ns = INT64_MAX;
  int64_t since_ns = INT64_MIN;
  {
    absl::MutexLock lock(&mu_);
    if (!filter.before.empty()) {
      ASSIGN_OR_RETURN(const Digest id, Resolve(filter.before));
      before_ns = images_.at(id).image->description.created_unix_ns;
    }
    if (!filter.since.empty()) {
      ASSIGN_OR_RETURN(const Digest id, Resolve(filter.since));
      since_ns = images_.at(id).image->description.created_unix_ns;
    }
    views.reserve(images_.size());
    for (const auto& [id, entry] : images_) {
      if (!filter.all && entry.references.empty() && HasChildren(id)) continue;
      views.push_back(View(entry));
    }
    if (filter.shared_size) SetSharedSizes(ChainUses(), views);
  }
  const int64_t until_ns = filter.until_unix_ns > 0 ? filter.until_unix_ns : INT64_MAX;
  std::erase_if(views, [&](ImageView& view) {
    const int64_t created_ns = view.image->description.created_unix_ns;
    return created_ns >= before_ns || created_ns <= since_ns || created_ns >= until_ns ||
           !Matches(filter, view);
  });
  std::stable_sort(views.begin(), views.end(), [](const ImageView& a, const ImageView& b) {
    return a.image->description.created_unix_ns > b.image->description.created_unix_ns;
  });
  return views;
}

std::map<Digest, int> Catalog::ChainUses() const {
  std::map<Digest, int> uses;
  for (const auto& [id, entry] : images_) {
    for (const Digest& chain : entry.image->chain_ids) ++uses[chain];
  }
  return uses;
}

DiskUsage Catalog::Usage() const {
  DiskUsage usage;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, entry] : images_) usage.images.push_back(View(entry));
  SetSharedSizes(ChainUses(), usage.images);
  std::set<Digest> counted;
  for (const auto& [id, entry] : images_) {
    const Image& image = *entry.image;
    for (size_t i = 0; i < image.layers.size(); ++i) {
      if (counted.insert(image.chain_ids[i]).second) {
        usage.layers_size_bytes += image.layers[i].content_size_bytes;
      }
    }
  }
  std::set<Digest> files;
  for (const auto& [blob, entry] : layers_) {
    usage.blob_bytes += entry.layer.stored_blob_bytes();
    if (files.insert(entry.layer.diff_id).second) {
      usage.layer_file_bytes += entry.layer.erofs_size_bytes;
    }
  }
  return usage;
}

absl::StatusOr<ImageRecord> Catalog::Record(const Digest& id) const {
  return metadata_.ReadImage(id);
}

std::vector<std::pair<ImageReference, Digest>> Catalog::Tags(const std::string& name) const {
  std::vector<std::pair<ImageReference, Digest>> tags;
  absl::MutexLock lock(&mu_);
  for (auto entry = references_.lower_bound(name); entry != references_.end(); ++entry) {
    if (!absl::StartsWith(entry->first, name)) break;
    const ImageReference& reference = entry->second.reference;
    if (reference.Name() == name && !reference.tag().empty()) {
      tags.emplace_back(reference, entry->second.image);
    }
  }
  return tags;
}

absl::StatusOr<Layer> Catalog::FindLayer(const Digest& diff_id) const {
  absl::MutexLock lock(&mu_);
  for (const auto& [blob, entry] : layers_) {
    if (entry.layer.diff_id == diff_id) return entry.layer;
  }
  return absl::NotFoundError(absl::StrCat("no such layer: ", diff_id.ToString()));
}

std::vector<std::string> Catalog::Owners() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> owners;
  owners.reserve(owners_.size());
  for (const auto& [owner, ids] : owners_) owners.push_back(owner);
  return owners;
}

}  // namespace slipway::image
