#include "image-service/domain/commit.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/commit_draft.h"
#include "image-service/domain/media_types.h"
#include "image-service/layer/time_clamp.h"

namespace slipway::image {
namespace {

// Docker's bound, and about overlayfs's.
constexpr size_t kMaxLayers = 125;
constexpr size_t kMaxEmptyTarBytes = 64 << 10;

}  // namespace

absl::StatusOr<Digest> Committer::Commit(const CommitCommand& command, ByteSource& source) {
  const absl::Time begin = absl::Now();
  absl::StatusOr<Digest> id = DoCommit(command, source);
  parts_.metrics.OnFinished("commit", absl::StatusCodeToString(id.status().code()),
                            absl::Now() - begin);
  return id;
}

absl::Status Committer::TakeParent(const CommitCommand& command, Draft& draft) {
  if (command.platform.has_value()) draft.platform = *command.platform;
  if (command.parent.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ImageView view, parts_.catalog.Get(command.parent));
  const Image& parent = *view.image;
  draft.parent = parent.id;
  draft.platform = parent.description.platform;
  draft.history = parent.description.history;
  if (parent.manifest_media_type == kDockerManifestType) draft.manifest_type = kDockerManifestType;
  for (const Layer& layer : parent.layers) {
    std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(layer.blob);
    if (!lease.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat("layer ", layer.blob.ToString(), " of ",
                                                        command.parent, " is damaged or gone"));
    }
    draft.leases.push_back(*std::move(lease));
    draft.media_types.push_back(layer.media_type);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<LayerLease>> Committer::TakeLayer(ByteSource& source,
                                                               int64_t latest_mtime_unix_s) {
  // Most tars of builds are empty: of an instruction that only changes the configuration there is
  // none, and one of a command that changed nothing has only the zeros of its end.
  ASSIGN_OR_RETURN(absl::string_view bytes, source.Next());
  std::string zeros;
  while (!bytes.empty() && zeros.size() < kMaxEmptyTarBytes &&
         bytes.find_first_not_of('\0') == absl::string_view::npos) {
    zeros.append(bytes.data(), bytes.size());
    ASSIGN_OR_RETURN(bytes, source.Next());
  }
  if (bytes.empty()) return std::optional<LayerLease>();
  ASSIGN_OR_RETURN(const std::unique_ptr<LayerIntake> intake,
                   LayerIntake::CreateSplit(parts_, /*any_compression=*/false));
  TimeClamp clamp(latest_mtime_unix_s,
                  [&](absl::string_view piece) { return intake->Append(piece); });
  RETURN_IF_ERROR(intake->Append(zeros));
  while (!bytes.empty()) {
    RETURN_IF_ERROR(latest_mtime_unix_s > 0 ? clamp.Append(bytes) : intake->Append(bytes));
    ASSIGN_OR_RETURN(bytes, source.Next());
  }
  ASSIGN_OR_RETURN(LayerLease lease, intake->Commit(Digest(), ""));
  if (lease.layer().entries > 0) return std::optional<LayerLease>(std::move(lease));
  const Digest unused = lease.layer().blob;
  lease = LayerLease();
  parts_.catalog.DropUnused({unused});
  return std::optional<LayerLease>();
}

absl::StatusOr<Digest> Committer::DoCommit(const CommitCommand& command, ByteSource& source) {
  Draft draft;
  RETURN_IF_ERROR(TakeParent(command, draft));
  ASSIGN_OR_RETURN(std::optional<LayerLease> layer, TakeLayer(source, command.latest_mtime_unix_s));
  HistoryEntry entry;
  entry.created_unix_ns =
      command.created_unix_ns != 0 ? command.created_unix_ns : absl::GetCurrentTimeNanos();
  entry.created_by = command.created_by;
  entry.author = command.author;
  entry.comment = command.message;
  entry.empty_layer = !layer.has_value();
  draft.history.push_back(std::move(entry));
  if (!layer.has_value()) return Put(command, std::move(draft));
  const Digest blob = layer->layer().blob;
  draft.AddLayer(*std::move(layer));
  absl::StatusOr<Digest> id = draft.leases.size() > kMaxLayers
                                  ? absl::InvalidArgumentError("max depth exceeded")
                                  : Put(command, std::move(draft));
  if (!id.ok()) {
    draft = Draft();
    parts_.catalog.DropUnused({blob});
  }
  return id;
}

absl::StatusOr<Digest> Committer::Put(const CommitCommand& command, Draft draft) {
  ImageDescription description;
  description.created_unix_ns = draft.history.back().created_unix_ns;
  description.author = command.author;
  description.comment = command.message;
  description.platform = draft.platform;
  description.config = command.config;
  description.history = std::move(draft.history);
  Manifest manifest;
  manifest.media_type = draft.manifest_type;
  PutImageCommand put;
  for (size_t i = 0; i < draft.leases.size(); ++i) {
    const Layer& layer = draft.leases[i].layer();
    description.diff_ids.push_back(layer.diff_id);
    manifest.layers.push_back({draft.media_types[i], layer.blob, layer.blob_size_bytes});
    put.record.layers.push_back({layer.blob, layer.diff_id, draft.media_types[i]});
  }
  put.layers = std::move(draft.leases);
  put.record.config_json = format_.WriteConfig(description);
  put.record.id = Digest::OfBytes(put.record.config_json);
  manifest.config = {
      draft.manifest_type == kDockerManifestType ? kDockerConfigType : kOciConfigType,
      put.record.id, static_cast<int64_t>(put.record.config_json.size())};
  put.record.manifest_json = format_.WriteManifest(manifest);
  put.record.manifest_digest = Digest::OfBytes(put.record.manifest_json);
  put.record.manifest_media_type = manifest.media_type;
  put.record.parent = draft.parent;
  put.record.committed_container = command.container_id;
  put.hold = command.hold;
  if (command.reference.has_value()) {
    put.references.push_back(*command.reference);
    put.action = "tag";
    put.name = command.reference->FamiliarString();
  }
  const Digest id = put.record.id;
  RETURN_IF_ERROR(parts_.catalog.Put(std::move(put)).status());
  return id;
}

}  // namespace slipway::image
