#include "image-service/domain/import.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {
namespace {

ImageDescription Describe(const ImportCommand& command, const Layer& layer) {
  ImageDescription description;
  description.created_unix_ns = absl::GetCurrentTimeNanos();
  description.comment =
      !command.message.empty()
          ? command.message
          : absl::StrCat("Imported from ", command.source.empty() ? "-" : command.source);
  description.platform = command.platform.value_or(HostPlatform());
  description.config = command.config;
  description.diff_ids.push_back(layer.diff_id);
  HistoryEntry entry;
  entry.created_unix_ns = description.created_unix_ns;
  entry.comment = description.comment;
  description.history.push_back(std::move(entry));
  return description;
}

}  // namespace

absl::StatusOr<Digest> Importer::Import(const ImportCommand& command, ByteSource& source) {
  const absl::Time begin = absl::Now();
  absl::StatusOr<Digest> id = DoImport(command, source);
  parts_.metrics.OnFinished("import", absl::StatusCodeToString(id.status().code()),
                            absl::Now() - begin);
  return id;
}

absl::StatusOr<Digest> Importer::DoImport(const ImportCommand& command, ByteSource& source) {
  ASSIGN_OR_RETURN(absl::string_view bytes, source.Next());
  if (bytes.empty()) return absl::InvalidArgumentError("nothing was sent to import");
  ASSIGN_OR_RETURN(const std::unique_ptr<LayerIntake> intake,
                   LayerIntake::CreateSplit(parts_, /*any_compression=*/true));
  while (!bytes.empty()) {
    RETURN_IF_ERROR(intake->Append(bytes));
    ASSIGN_OR_RETURN(bytes, source.Next());
  }
  ASSIGN_OR_RETURN(LayerLease lease, intake->Commit(Digest(), ""));
  const Layer layer = lease.layer();

  PutImageCommand put;
  put.record.config_json = format_.WriteConfig(Describe(command, layer));
  put.record.id = Digest::OfBytes(put.record.config_json);
  Manifest manifest;
  manifest.media_type = kOciManifestType;
  manifest.config = {kOciConfigType, put.record.id,
                     static_cast<int64_t>(put.record.config_json.size())};
  manifest.layers.push_back({layer.media_type, layer.blob, layer.blob_size_bytes});
  put.record.manifest_json = format_.WriteManifest(manifest);
  put.record.manifest_digest = Digest::OfBytes(put.record.manifest_json);
  put.record.manifest_media_type = kOciManifestType;
  put.record.layers.push_back({layer.blob, layer.diff_id, layer.media_type});
  put.layers.push_back(std::move(lease));
  if (command.reference.has_value()) put.references.push_back(*command.reference);
  put.action = "import";
  const Digest id = put.record.id;
  absl::StatusOr<PutImageOutcome> stored = parts_.catalog.Put(std::move(put));
  if (!stored.ok()) {
    parts_.catalog.DropUnused({layer.blob});
    return stored.status();
  }
  return id;
}

}  // namespace slipway::image
