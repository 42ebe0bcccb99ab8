#include "image-service/domain/layer_transfers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr absl::Duration kReportEvery = absl::Milliseconds(100);

// Bytes that will not get better by asking again.
bool IsBadContent(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status);
}

}  // namespace

// Tells the leader's client and the followers, at most ten times a second within one phase.
class LayerTransfers::Reporter {
 public:
  Reporter(absl::Mutex& mu, std::shared_ptr<Flight> flight, ProgressObserver& observer,
           LayerProgress progress)
      : mu_(mu), flight_(std::move(flight)), observer_(observer), progress_(std::move(progress)) {}

  void Report(LayerPhase phase, int64_t current_bytes) {
    const absl::Time now = absl::Now();
    const bool last = current_bytes == progress_.total_bytes;
    if (phase == progress_.phase && !last && now - reported_ < kReportEvery) return;
    reported_ = now;
    progress_.phase = phase;
    progress_.current_bytes = current_bytes;
    {
      absl::MutexLock lock(&mu_);
      flight_->progress = progress_;
    }
    observer_.OnLayer(progress_);
  }
  int64_t total_bytes() const { return progress_.total_bytes; }

 private:
  absl::Mutex& mu_;
  const std::shared_ptr<Flight> flight_;
  ProgressObserver& observer_;
  LayerProgress progress_;
  absl::Time reported_ = absl::InfinitePast();
};

std::shared_ptr<LayerTransfers::Flight> LayerTransfers::JoinOrLead(const Digest& digest) {
  absl::MutexLock lock(&mu_);
  const auto found = flights_.find(digest);
  if (found != flights_.end()) return found->second;
  auto flight = std::make_shared<Flight>();
  flight->progress.id = digest.ShortHex();
  flights_[digest] = flight;
  return nullptr;
}

void LayerTransfers::Land(const Digest& digest) {
  absl::MutexLock lock(&mu_);
  const auto found = flights_.find(digest);
  found->second->landed = true;
  flights_.erase(found);
}

absl::Status LayerTransfers::Follow(Flight& flight, ProgressObserver& observer,
                                    const Cancellation& cancel) {
  LayerProgress seen;
  while (true) {
    if (cancel.cancelled()) return absl::CancelledError("the pull was cancelled");
    LayerProgress progress;
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(&flight.landed), kReportEvery);
      if (flight.landed) return absl::OkStatus();
      progress = flight.progress;
    }
    const bool news = progress.phase != seen.phase || progress.current_bytes != seen.current_bytes;
    if (news) observer.OnLayer(progress);
    seen = progress;
  }
}

absl::StatusOr<LayerLease> LayerTransfers::Fetch(const Descriptor& layer,
                                                 RegistryRepository& repository,
                                                 ProgressObserver& observer,
                                                 const Cancellation& cancel) {
  while (true) {
    if (std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(layer.digest)) {
      observer.OnLayer({layer.digest.ShortHex(), LayerPhase::kPullComplete, 0, 0});
      return std::move(*lease);
    }
    if (const std::shared_ptr<Flight> flight = JoinOrLead(layer.digest)) {
      RETURN_IF_ERROR(Follow(*flight, observer, cancel));
      continue;
    }
    std::shared_ptr<Flight> flight;
    {
      absl::MutexLock lock(&mu_);
      flight = flights_.at(layer.digest);
    }
    Reporter reporter(mu_, flight, observer,
                      {.id = layer.digest.ShortHex(), .total_bytes = layer.size_bytes});
    absl::StatusOr<LayerLease> lease = Lead(layer, repository, reporter, cancel);
    Land(layer.digest);
    return lease;
  }
}

void LayerTransfers::DropPartials(const std::vector<Digest>& layers) {
  {
    absl::MutexLock lock(&mu_);
    for (const Digest& layer : layers) {
      if (!flights_.contains(layer)) (void)parts_.content.RemovePartial(layer);
    }
  }
  parts_.content.EmptyTrash();
}

absl::StatusOr<LayerLease> LayerTransfers::Lead(const Descriptor& layer,
                                                RegistryRepository& repository, Reporter& reporter,
                                                const Cancellation& cancel) {
  // It may have been completed between the look into the catalog and taking the lead.
  if (std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(layer.digest)) {
    reporter.Report(LayerPhase::kPullComplete, 0);
    return std::move(*lease);
  }
  ASSIGN_OR_RETURN(const TransferSlots::Slot slot, slots_.Take(cancel));
  bool resumed = false;
  absl::StatusOr<LayerLease> lease = Attempt(layer, repository, reporter, cancel, &resumed);
  if (!lease.ok() && resumed && IsBadContent(lease.status())) {
    // What an earlier attempt left may have been damaged by a power cut: once more without it.
    lease = Attempt(layer, repository, reporter, cancel, &resumed);
  }
  return lease;
}

absl::StatusOr<LayerLease> LayerTransfers::Attempt(const Descriptor& layer,
                                                   RegistryRepository& repository,
                                                   Reporter& reporter, const Cancellation& cancel,
                                                   bool* resumed) {
  ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> blob, parts_.content.ResumeBlob(layer.digest));
  if (blob->size_bytes() > layer.size_bytes) RETURN_IF_ERROR(blob->Truncate());
  const int64_t arrived = blob->size_bytes();
  *resumed = arrived > 0;
  ASSIGN_OR_RETURN(std::unique_ptr<LayerIntake> intake,
                   LayerIntake::Create(parts_, std::move(blob), /*any_compression=*/false));
  absl::Status status = arrived > 0 ? intake->Replay() : absl::OkStatus();
  if (status.ok()) {
    if (arrived > 0) parts_.metrics.OnResumed(arrived);
    reporter.Report(LayerPhase::kDownloading, arrived);
    status = repository.DownloadBlob(
        layer.digest, arrived, layer.size_bytes,
        [&](absl::string_view bytes) -> absl::Status {
          RETURN_IF_ERROR(intake->Append(bytes));
          parts_.metrics.OnDownloaded(static_cast<int64_t>(bytes.size()));
          reporter.Report(LayerPhase::kDownloading, intake->size_bytes());
          return absl::OkStatus();
        },
        [&] { reporter.Report(LayerPhase::kRetrying, intake->size_bytes()); }, cancel);
  }
  if (status.ok()) {
    reporter.Report(LayerPhase::kVerifyingChecksum, 0);
    reporter.Report(LayerPhase::kDownloadComplete, 0);
    reporter.Report(LayerPhase::kExtracting, layer.size_bytes);
    absl::StatusOr<LayerLease> lease = intake->Commit(layer.digest, layer.media_type);
    if (lease.ok()) {
      reporter.Report(LayerPhase::kPullComplete, 0);
      return lease;
    }
    status = lease.status();
  }
  // A full disk gets its space back; bad bytes are not for keeping.
  if (IsBadContent(status) || absl::IsResourceExhausted(status)) intake->blob().Discard();
  return status;
}

}  // namespace slipway::image
