#ifndef IMAGE_SERVICE_DOMAIN_PROGRESS_H_
#define IMAGE_SERVICE_DOMAIN_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace slipway::image {

// What Docker says of a layer on its way.
enum class LayerPhase {
  kPullingFsLayer,
  kWaiting,
  kDownloading,
  kVerifyingChecksum,
  kDownloadComplete,
  kExtracting,
  kPullComplete,
  kAlreadyExists,
  kRetrying,
  kPreparing,  // from here on of a push
  kPushing,
  kPushed,
  kLayerAlreadyExists,
  kMounted,
};

struct LayerProgress {
  std::string id;  // first 12 hex digits of the blob's digest, of a push: the diffID's
  LayerPhase phase = LayerPhase::kPullingFsLayer;
  int64_t current_bytes = 0;
  int64_t total_bytes = 0;
  std::string source;  // repository that the layer was mounted from
};

// Hears of the progress of one pull or load. Called from several threads; must not block.
class ProgressObserver {
 public:
  virtual ~ProgressObserver() = default;
  virtual void OnStatus(absl::string_view text, absl::string_view id) = 0;
  virtual void OnLayer(const LayerProgress& progress) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_PROGRESS_H_
