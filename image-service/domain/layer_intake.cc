#include "image-service/domain/layer_intake.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {
namespace {

std::string MediaTypeOf(LayerEncoding encoding) {
  switch (encoding) {
    case LayerEncoding::kGzip:
      return kOciGzipType;
    case LayerEncoding::kZstd:
      return kOciZstdType;
    case LayerEncoding::kTar:
    case LayerEncoding::kOther:
      break;
  }
  return kOciTarType;
}

}  // namespace

LayerIntake::LayerIntake(IntakeParts parts, std::unique_ptr<BlobWriter> blob,
                         std::unique_ptr<LayerSink> sink)
    : parts_(parts), blob_(std::move(blob)), sink_(std::move(sink)), begin_(absl::Now()) {}

absl::StatusOr<std::unique_ptr<LayerIntake>> LayerIntake::Create(IntakeParts parts,
                                                                 std::unique_ptr<BlobWriter> blob,
                                                                 bool any_compression) {
  ASSIGN_OR_RETURN(std::unique_ptr<LayerSink> sink,
                   parts.content.NewLayer({.any_compression = any_compression}));
  return std::unique_ptr<LayerIntake>(new LayerIntake(parts, std::move(blob), std::move(sink)));
}

absl::StatusOr<std::unique_ptr<LayerIntake>> LayerIntake::CreateSplit(IntakeParts parts,
                                                                      bool any_compression) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<LayerSink> sink,
      parts.content.NewLayer({.any_compression = any_compression, .keep_split = true}));
  return std::unique_ptr<LayerIntake>(new LayerIntake(parts, nullptr, std::move(sink)));
}

absl::Status LayerIntake::Replay() {
  return blob_->ForEachChunk([this](absl::string_view bytes) { return sink_->Append(bytes); });
}

absl::Status LayerIntake::Append(absl::string_view bytes) {
  if (blob_ != nullptr) RETURN_IF_ERROR(blob_->Append(bytes));
  return sink_->Append(bytes);
}

absl::StatusOr<LayerLease> LayerIntake::Commit(const Digest& expected,
                                               const std::string& media_type) {
  ASSIGN_OR_RETURN(ConvertedLayer converted, sink_->Finish());
  if (blob_ == nullptr) {
    converted.blob = converted.diff_id;
    converted.blob_size_bytes = converted.tar_size_bytes;
    converted.encoding = LayerEncoding::kTar;
  }
  if (!expected.empty() && converted.blob != expected) {
    return absl::DataLossError(absl::StrCat("filesystem layer verification failed for digest ",
                                            expected.ToString(), ": got ",
                                            converted.blob.ToString()));
  }
  if (blob_ != nullptr) RETURN_IF_ERROR(blob_->Sync());
  Layer layer;
  layer.blob = converted.blob;
  layer.diff_id = converted.diff_id;
  layer.media_type = media_type.empty() ? MediaTypeOf(converted.encoding) : media_type;
  layer.blob_size_bytes = converted.blob_size_bytes;
  layer.tar_size_bytes = converted.tar_size_bytes;
  layer.content_size_bytes = converted.content_size_bytes;
  layer.erofs_size_bytes = converted.erofs_size_bytes;
  layer.split_size_bytes = converted.split_size_bytes;
  layer.entries = converted.entries;
  layer.opaque_root = converted.opaque_root;
  layer.created_unix_ns = absl::GetCurrentTimeNanos();
  if (blob_ != nullptr) layer.unsynced_boot_id = parts_.content.BootId();
  bool added = false;
  auto lease = parts_.catalog.AddLayer(layer, [&](bool have_file) -> absl::Status {
    added = true;
    // One that is there from another blob has no split.
    if (!have_file || layer.has_split()) {
      RETURN_IF_ERROR(sink_->Commit(parts_.content.LayerPath(layer.diff_id)));
    }
    return blob_ == nullptr ? absl::OkStatus() : blob_->Commit(layer.blob);
  });
  if (!added && blob_ != nullptr) blob_->Discard();
  RETURN_IF_ERROR(lease.status());
  parts_.metrics.OnLayer(layer.tar_size_bytes, absl::Now() - begin_);
  if (added && blob_ != nullptr) SyncBehind(layer);
  return lease;
}

void LayerIntake::SyncBehind(const Layer& layer) const {
  const IntakeParts parts = parts_;
  // When too many wait already, the next start does it.
  (void)parts_.syncer.TrySchedule([parts, layer] {
    const absl::Status status = parts.content.SyncLayer(layer.diff_id);
    if (status.ok()) {
      parts.catalog.MarkSynced(layer.blob);
    } else if (!absl::IsNotFound(status)) {
      Log(LogLevel::kWarning, status.message());
    }
  });
}

}  // namespace slipway::image
