#ifndef IMAGE_SERVICE_DOMAIN_PULL_H_
#define IMAGE_SERVICE_DOMAIN_PULL_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/image_reference.h"
#include "image-service/domain/layer_transfers.h"
#include "image-service/domain/progress.h"
#include "image-service/ports/image_format.h"
#include "image-service/ports/metrics.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

struct PullCommand {
  ImageReference reference;
  RegistryCredentials credentials;
  std::optional<Platform> platform;  // none: the host's
  bool all_tags = false;             // of the reference's repository
};

struct PullOutcome {
  Digest image_id;
  Digest manifest_digest;  // of what the reference names, an index included
  bool was_up_to_date = false;
  std::string reference;  // familiar form
};

// Hears of a pull; called from several threads; must not block.
class PullObserver : public ProgressObserver {
 public:
  virtual void OnPulled(const PullOutcome& outcome) = 0;
};

// Gets an image from a registry. Thread-safe; the parts outlive it.
class Puller {
 public:
  Puller(Registry& registry, Catalog& catalog, LayerTransfers& transfers, ImageFormat& format,
         ImageMetrics& metrics)
      : registry_(registry),
        catalog_(catalog),
        transfers_(transfers),
        format_(format),
        metrics_(metrics) {}

  // Blocks. The image becomes visible when everything of it is there, or not at all; layers that
  // are complete, and what arrived of others, stay for a later attempt when the failure was the
  // network's or the caller went away. Cancels `cancel` itself when one layer fails.
  absl::Status Pull(const PullCommand& command, PullObserver& observer, Cancellation& cancel);

 private:
  struct Resolved {
    Manifest manifest;
    FetchedManifest document;
    Digest named;  // digest of what the reference names
    std::string config_json;
    ImageDescription description;
  };

  absl::Status PullAllTags(const PullCommand& command, PullObserver& observer,
                           Cancellation& cancel);
  absl::StatusOr<PullOutcome> DoPull(const PullCommand& command, ProgressObserver& observer,
                                     Cancellation& cancel);
  absl::StatusOr<Resolved> Resolve(const PullCommand& command, RegistryRepository& repository,
                                   const Cancellation& cancel);
  absl::Status FetchConfig(const PullCommand& command, RegistryRepository& repository,
                           Resolved& resolved, const Cancellation& cancel);
  // The layers and the record of what was resolved, for `put`.
  absl::Status FetchImage(const Resolved& resolved, RegistryRepository& repository,
                          ProgressObserver& observer, Cancellation& cancel, PutImageCommand& put);
  absl::StatusOr<std::vector<LayerLease>> FetchLayers(const Resolved& resolved,
                                                      RegistryRepository& repository,
                                                      ProgressObserver& observer,
                                                      Cancellation& cancel);

  Registry& registry_;
  Catalog& catalog_;
  LayerTransfers& transfers_;
  ImageFormat& format_;
  ImageMetrics& metrics_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_PULL_H_
