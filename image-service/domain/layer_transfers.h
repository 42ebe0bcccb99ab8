#ifndef IMAGE_SERVICE_DOMAIN_LAYER_TRANSFERS_H_
#define IMAGE_SERVICE_DOMAIN_LAYER_TRANSFERS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/layer_intake.h"
#include "image-service/domain/progress.h"
#include "image-service/domain/transfer_slots.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

// Downloads of layers, each digest once however many ask for it: the first one to ask downloads in
// its own thread, the others wait and see its progress; when it gives up or fails, the next of them
// goes on from what arrived, with its own credentials. Thread-safe.
class LayerTransfers {
 public:
  LayerTransfers(IntakeParts parts, int max_at_once) : parts_(parts), slots_(max_at_once) {}

  // Returns when the layer is complete and recorded. Blocks.
  absl::StatusOr<LayerLease> Fetch(const Descriptor& layer, RegistryRepository& repository,
                                   ProgressObserver& observer, const Cancellation& cancel);

  // What arrived of layers for which nobody works any more is removed: it led to nothing.
  void DropPartials(const std::vector<Digest>& layers);

 private:
  // A download under way, as its followers see it.
  struct Flight {
    LayerProgress progress;
    bool landed = false;
  };
  class Reporter;

  // nullptr: this caller leads now.
  std::shared_ptr<Flight> JoinOrLead(const Digest& digest);
  void Land(const Digest& digest);
  absl::Status Follow(Flight& flight, ProgressObserver& observer, const Cancellation& cancel);
  absl::StatusOr<LayerLease> Lead(const Descriptor& layer, RegistryRepository& repository,
                                  Reporter& reporter, const Cancellation& cancel);
  absl::StatusOr<LayerLease> Attempt(const Descriptor& layer, RegistryRepository& repository,
                                     Reporter& reporter, const Cancellation& cancel, bool* resumed);

  IntakeParts parts_;
  absl::Mutex mu_;
  std::map<Digest, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mu_);
  TransferSlots slots_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_LAYER_TRANSFERS_H_
