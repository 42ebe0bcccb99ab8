#ifndef IMAGE_SERVICE_CLIENTS_PROMETHEUS_METRICS_H_
#define IMAGE_SERVICE_CLIENTS_PROMETHEUS_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "image-service/ports/metrics.h"

namespace slipway::image {

// slipway_image_* in a Prometheus registry, which outlives this. Thread-safe.
class PrometheusMetrics : public ImageMetrics {
 public:
  explicit PrometheusMetrics(prometheus::Registry& registry);

  void OnFinished(absl::string_view operation, absl::string_view outcome,
                  absl::Duration took) override;
  void OnDownloaded(int64_t bytes) override;
  void OnResumed(int64_t bytes) override;
  void OnLayer(int64_t tar_bytes, absl::Duration took) override;
  void OnStore(int64_t images, int64_t layers, int64_t blob_bytes, int64_t layer_bytes) override;

 private:
  prometheus::Family<prometheus::Counter>& operations_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Counter& downloaded_;
  prometheus::Counter& resumed_;
  prometheus::Counter& layers_;
  prometheus::Counter& layer_bytes_;
  prometheus::Histogram& layer_seconds_;
  prometheus::Family<prometheus::Gauge>& stored_;
  prometheus::Family<prometheus::Gauge>& stored_bytes_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_PROMETHEUS_METRICS_H_
