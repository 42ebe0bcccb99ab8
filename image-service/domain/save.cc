#include "image-service/domain/save.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

std::string BlobPath(const Digest& digest) { return absl::StrCat("blobs/sha256/", digest.hex()); }

absl::Status WriteFile(const std::string& path, absl::string_view content, ArchiveWriter& archive) {
  RETURN_IF_ERROR(archive.BeginFile(path, static_cast<int64_t>(content.size())));
  return archive.Append(content);
}

}  // namespace

absl::Status Saver::Save(const std::vector<std::string>& references, const ByteSink& sink) {
  const absl::Time begin = absl::Now();
  const absl::Status status = DoSave(references, sink);
  metrics_.OnFinished("save", absl::StatusCodeToString(status.code()), absl::Now() - begin);
  return status;
}

absl::Status Saver::Add(const Digest& id, const ImageReference* name, std::vector<Chosen>& chosen) {
  auto found = std::find_if(chosen.begin(), chosen.end(),
                            [&](const Chosen& one) { return one.record.id == id; });
  if (found == chosen.end()) {
    Chosen one;
    ASSIGN_OR_RETURN(one.record, catalog_.Record(id));
    for (const LayerReference& layer : one.record.layers) {
      std::optional<LayerLease> lease = catalog_.LeaseLayer(layer.blob);
      if (!lease.has_value()) {
        return absl::FailedPreconditionError(
            absl::StrCat("layer ", layer.blob.ToString(), " of image ", id.ToString(),
                         " is damaged or gone; pull the image again"));
      }
      one.leases.push_back(*std::move(lease));
    }
    found = chosen.insert(chosen.end(), std::move(one));
  }
  if (name == nullptr) return absl::OkStatus();
  if (std::find(found->names.begin(), found->names.end(), *name) == found->names.end()) {
    found->names.push_back(*name);
  }
  return absl::OkStatus();
}

absl::Status Saver::Choose(const std::string& text, std::vector<Chosen>& chosen) {
  const auto reference = ImageReference::Parse(text);
  if (reference.ok() && reference->digest().empty()) {
    const auto tags = catalog_.Tags(reference->Name());
    bool any = false;
    for (const auto& [name, id] : tags) {
      if (!reference->tag().empty() && reference->tag() != name.tag()) continue;
      RETURN_IF_ERROR(Add(id, &name, chosen));
      any = true;
    }
    if (any) return absl::OkStatus();
  }
  const absl::StatusOr<ImageView> view = catalog_.Get(text);
  if (view.ok()) return Add(view->image->id, nullptr, chosen);
  const bool tagged = reference.ok() && !reference->tag().empty();
  return absl::IsNotFound(view.status()) && tagged ? absl::NotFoundError("reference does not exist")
                                                   : view.status();
}

absl::Status Saver::DoSave(const std::vector<std::string>& references, const ByteSink& sink) {
  if (references.empty()) return absl::InvalidArgumentError("no image was named to save");
  std::vector<Chosen> chosen;
  for (const std::string& text : references) RETURN_IF_ERROR(Choose(text, chosen));
  const std::unique_ptr<ArchiveWriter> archive = make_(sink);
  RETURN_IF_ERROR(WriteBlobs(chosen, *archive));
  RETURN_IF_ERROR(WriteIndexes(chosen, *archive));
  return archive->Finish();
}

absl::Status Saver::WriteBlobs(const std::vector<Chosen>& chosen, ArchiveWriter& archive) {
  RETURN_IF_ERROR(archive.AddDirectory("blobs/"));
  RETURN_IF_ERROR(archive.AddDirectory("blobs/sha256/"));
  std::set<Digest> written;
  for (const Chosen& one : chosen) {
    const ImageRecord& record = one.record;
    if (written.insert(record.id).second) {
      RETURN_IF_ERROR(WriteFile(BlobPath(record.id), record.config_json, archive));
    }
    if (written.insert(record.manifest_digest).second) {
      RETURN_IF_ERROR(WriteFile(BlobPath(record.manifest_digest), record.manifest_json, archive));
    }
    for (const LayerLease& lease : one.leases) {
      if (written.insert(lease.layer().blob).second) {
        RETURN_IF_ERROR(WriteLayer(lease.layer(), archive));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Saver::WriteLayer(const Layer& layer, ArchiveWriter& archive) {
  RETURN_IF_ERROR(archive.BeginFile(BlobPath(layer.blob), layer.blob_size_bytes));
  int64_t left = layer.blob_size_bytes;
  RETURN_IF_ERROR(content_.ReadBlob(layer, [&](absl::string_view bytes) -> absl::Status {
    left -= static_cast<int64_t>(bytes.size());
    return left < 0 ? absl::OkStatus() : archive.Append(bytes);
  }));
  if (left == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("blob ", layer.blob.ToString(), " has ",
                                          layer.blob_size_bytes - left, " bytes instead of ",
                                          layer.blob_size_bytes));
}

absl::Status Saver::WriteIndexes(const std::vector<Chosen>& chosen, ArchiveWriter& archive) {
  std::vector<IndexEntry> index;
  std::vector<ArchiveEntry> images;
  for (const Chosen& one : chosen) {
    const ImageRecord& record = one.record;
    IndexEntry entry;
    entry.manifest = {record.manifest_media_type, record.manifest_digest,
                      static_cast<int64_t>(record.manifest_json.size())};
    if (one.names.empty()) index.push_back(entry);
    ArchiveEntry image;
    image.config = BlobPath(record.id);
    for (const ImageReference& name : one.names) {
      entry.name = name.FullString();
      entry.tag = name.tag();
      index.push_back(entry);
      image.repo_tags.push_back(name.FamiliarString());
    }
    for (const LayerReference& layer : record.layers) image.layers.push_back(BlobPath(layer.blob));
    images.push_back(std::move(image));
  }
  RETURN_IF_ERROR(WriteFile("index.json", format_.WriteIndex(index), archive));
  RETURN_IF_ERROR(WriteFile("manifest.json", format_.WriteArchive(images), archive));
  return WriteFile("oci-layout", R"({"imageLayoutVersion": "1.0.0"})", archive);
}

}  // namespace slipway::image
