#include "image-service/domain/scrub.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {
namespace {

// Nobody looks on.
class SilentObserver : public ProgressObserver {
 public:
  void OnStatus(absl::string_view, absl::string_view) override {}
  void OnLayer(const LayerProgress&) override {}
};

// What says that the disk's content is at fault, and not that there is no room or no time.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsInternal(status);
}

}  // namespace

absl::StatusOr<ScrubOutcome> Scrubber::Run(bool only_damaged, const Cancellation& cancel) {
  if (!running_mu_.TryLock()) return absl::FailedPreconditionError("a scrub is under way already");
  ScrubOutcome outcome;
  absl::Status status;
  for (const Digest& blob : catalog_.Blobs(only_damaged)) {
    const absl::StatusOr<Finding> finding = Check(blob, outcome, cancel);
    status = finding.status();
    if (!status.ok()) break;
    if (*finding == Finding::kRepaired) outcome.repaired.push_back(blob);
    if (*finding == Finding::kDamaged) outcome.damaged.push_back(blob);
  }
  running_mu_.Unlock();
  if (!status.ok()) return status;
  return outcome;
}

absl::StatusOr<Scrubber::Finding> Scrubber::Check(const Digest& blob, ScrubOutcome& outcome,
                                                  const Cancellation& cancel) {
  if (cancel.cancelled()) return absl::CancelledError("the scrub was cancelled");
  const std::optional<LayerLease> lease = catalog_.LeaseForRepair(blob);
  if (!lease.has_value()) return Finding::kGood;  // removed meanwhile
  const Layer& layer = lease->layer();
  ++outcome.checked_layers;
  outcome.checked_bytes += layer.stored_blob_bytes() + layer.erofs_size_bytes;
  const bool was_damaged = !catalog_.LeaseLayer(blob).has_value();
  const absl::StatusOr<bool> rebuilt = Rebuild(layer, layer, cancel);
  if (rebuilt.ok()) {
    if (was_damaged) catalog_.MarkWhole(blob);
    return *rebuilt || was_damaged ? Finding::kRepaired : Finding::kGood;
  }
  if (!IsDamage(rebuilt.status())) return rebuilt.status();
  Log(LogLevel::kWarning, "a layer is damaged",
      {{"layer", blob.ToString()}, {"error", std::string(rebuilt.status().message())}});
  catalog_.MarkDamaged(blob);
  const absl::Status fetched = FetchAgain(layer, cancel);
  if (fetched.ok()) return Finding::kRepaired;
  if (absl::IsCancelled(fetched) || absl::IsResourceExhausted(fetched)) return fetched;
  Log(LogLevel::kError, "a damaged layer cannot be repaired; pull its image again",
      {{"layer", blob.ToString()}, {"error", std::string(fetched.message())}});
  return Finding::kDamaged;
}

absl::StatusOr<bool> Scrubber::Rebuild(const Layer& layer, const Layer& source,
                                       const Cancellation& cancel) {
  ASSIGN_OR_RETURN(const std::unique_ptr<LayerSink> sink,
                   content_.NewLayer({.any_compression = true, .keep_split = layer.has_split()}));
  RETURN_IF_ERROR(content_.ReadBlob(source, [&](absl::string_view bytes) -> absl::Status {
    if (cancel.cancelled()) return absl::CancelledError("the scrub was cancelled");
    return sink->Append(bytes);
  }));
  ASSIGN_OR_RETURN(const ConvertedLayer converted, sink->Finish());
  if (converted.blob != source.blob || converted.diff_id != layer.diff_id) {
    return absl::DataLossError(
        absl::StrCat("blob ", source.blob.ToString(), " has digest ", converted.blob.ToString()));
  }
  const std::string path = content_.LayerPath(layer.diff_id);
  ASSIGN_OR_RETURN(const bool same, sink->SameAs(path));
  if (same) return false;
  RETURN_IF_ERROR(sink->Commit(path));
  RETURN_IF_ERROR(content_.SyncLayer(layer.diff_id));
  return true;
}

absl::Status Scrubber::RebuildFromFetched(const Layer& layer, LayerLease fetched,
                                          const Cancellation& cancel) {
  const Digest blob = fetched.layer().blob;
  const absl::Status status = Rebuild(layer, fetched.layer(), cancel).status();
  if (status.ok()) catalog_.MarkWhole(layer.blob);
  fetched = LayerLease();
  catalog_.DropUnused({blob});
  return status;
}

absl::Status Scrubber::FetchAgain(const Layer& layer, const Cancellation& cancel) {
  absl::Status status = absl::NotFoundError("no repository is known to have it");
  if (layer.has_split() && layer.gzip.empty()) return status;
  SilentObserver observer;
  for (auto name = layer.repositories.rbegin(); name != layer.repositories.rend(); ++name) {
    const auto reference = ImageReference::Parse(*name);
    if (!reference.ok()) continue;
    const std::shared_ptr<RegistryRepository> repository =
        registry_.Open(*reference, RegistryCredentials(), RegistryAccess::kPull);
    const Descriptor descriptor =
        layer.has_split() ? Descriptor{kOciGzipType, layer.gzip, layer.gzip_size_bytes}
                          : Descriptor{layer.media_type, layer.blob, layer.blob_size_bytes};
    absl::StatusOr<LayerLease> fetched =
        transfers_.Fetch(descriptor, *repository, observer, cancel);
    status = fetched.status();
    if (status.ok() && layer.has_split()) {
      status = RebuildFromFetched(layer, *std::move(fetched), cancel);
    }
    if (status.ok() || cancel.cancelled()) return status;
  }
  return status;
}

}  // namespace slipway::image
