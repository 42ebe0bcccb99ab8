#ifndef IMAGE_SERVICE_DOMAIN_SCRUB_H_
#define IMAGE_SERVICE_DOMAIN_SCRUB_H_

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/layer_transfers.h"
#include "image-service/ports/content_store.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

struct ScrubOutcome {
  int64_t checked_layers = 0;
  int64_t checked_bytes = 0;
  std::vector<Digest> repaired;  // blobs
  std::vector<Digest> damaged;   // that could not be repaired
};

// Verifies what is on disk and repairs what is damaged: a layer file is made again from its blob
// (the same tar gives the same file, so they can be compared), a blob is fetched again from a
// repository that is known to have it. What has a split is its own blob: it is made of what
// registries have of it. Only the damaged layer is fetched. Thread-safe.
class Scrubber {
 public:
  Scrubber(Catalog& catalog, ContentStore& content, Registry& registry, LayerTransfers& transfers)
      : catalog_(catalog), content_(content), registry_(registry), transfers_(transfers) {}

  // Blocks. FailedPrecondition while another one runs. `only_damaged`: those that are known to be.
  absl::StatusOr<ScrubOutcome> Run(bool only_damaged, const Cancellation& cancel);

 private:
  enum class Finding { kGood, kRepaired, kDamaged };

  absl::StatusOr<Finding> Check(const Digest& blob, ScrubOutcome& outcome,
                                const Cancellation& cancel);
  // Makes the layer file of the blob of `source`. OK: that is whole; whether the layer file was
  // not.
  absl::StatusOr<bool> Rebuild(const Layer& layer, const Layer& source, const Cancellation& cancel);
  absl::Status FetchAgain(const Layer& layer, const Cancellation& cancel);
  absl::Status RebuildFromFetched(const Layer& layer, LayerLease fetched,
                                  const Cancellation& cancel);

  Catalog& catalog_;
  ContentStore& content_;
  Registry& registry_;
  LayerTransfers& transfers_;
  absl::Mutex running_mu_;  // held by the one that runs
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_SCRUB_H_
