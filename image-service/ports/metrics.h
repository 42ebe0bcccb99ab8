#ifndef IMAGE_SERVICE_PORTS_METRICS_H_
#define IMAGE_SERVICE_PORTS_METRICS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace slipway::image {

// What the service counts of itself. Thread-safe.
class ImageMetrics {
 public:
  virtual ~ImageMetrics() = default;
  // `operation` is "pull", "load" or "import"; `outcome` the name of a canonical status code.
  virtual void OnFinished(absl::string_view operation, absl::string_view outcome,
                          absl::Duration took) = 0;
  virtual void OnDownloaded(int64_t bytes) = 0;
  virtual void OnResumed(int64_t bytes) = 0;
  virtual void OnLayer(int64_t tar_bytes, absl::Duration took) = 0;
  virtual void OnStore(int64_t images, int64_t layers, int64_t blob_bytes, int64_t layer_bytes) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_METRICS_H_
