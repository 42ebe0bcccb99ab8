#include "image-service/clients/prometheus_metrics.h"

#include <string>

namespace slipway::image {
namespace {

const prometheus::Histogram::BucketBoundaries& Seconds() {
  static const auto& boundaries = *new prometheus::Histogram::BucketBoundaries{
      .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300};
  return boundaries;
}

template <typename Builder>
auto& Family(Builder builder, const char* name, const char* help, prometheus::Registry& registry) {
  return builder.Name(name).Help(help).Register(registry);
}

prometheus::Counter& OneCounter(const char* name, const char* help,
                                prometheus::Registry& registry) {
  return Family(prometheus::BuildCounter(), name, help, registry).Add({});
}

}  // namespace

PrometheusMetrics::PrometheusMetrics(prometheus::Registry& registry)
    : operations_(Family(prometheus::BuildCounter(), "slipway_image_operations_total",
                         "Pulls, loads and imports that ended, by outcome.", registry)),
      seconds_(Family(prometheus::BuildHistogram(), "slipway_image_operation_seconds",
                      "How long pulls, loads and imports took, in seconds.", registry)),
      downloaded_(OneCounter("slipway_image_downloaded_bytes_total",
                             "Layer bytes received from registries.", registry)),
      resumed_(OneCounter("slipway_image_resumed_bytes_total",
                          "Layer bytes that an interrupted pull had left.", registry)),
      layers_(OneCounter("slipway_image_layers_total", "Layers converted.", registry)),
      layer_bytes_(OneCounter("slipway_image_layer_tar_bytes_total",
                              "Bytes of the tars of converted layers.", registry)),
      layer_seconds_(Family(prometheus::BuildHistogram(), "slipway_image_layer_seconds",
                            "From a layer's first byte to its record, in seconds.", registry)
                         .Add({}, Seconds())),
      stored_(Family(prometheus::BuildGauge(), "slipway_image_stored",
                     "Images and layers in the store.", registry)),
      stored_bytes_(Family(prometheus::BuildGauge(), "slipway_image_stored_bytes",
                           "Size of what is in the store.", registry)) {}

void PrometheusMetrics::OnFinished(absl::string_view operation, absl::string_view outcome,
                                   absl::Duration took) {
  const std::string name(operation);
  operations_.Add({{"operation", name}, {"code", std::string(outcome)}}).Increment();
  seconds_.Add({{"operation", name}}, Seconds()).Observe(absl::ToDoubleSeconds(took));
}

void PrometheusMetrics::OnDownloaded(int64_t bytes) {
  downloaded_.Increment(static_cast<double>(bytes));
}

void PrometheusMetrics::OnResumed(int64_t bytes) { resumed_.Increment(static_cast<double>(bytes)); }

void PrometheusMetrics::OnLayer(int64_t tar_bytes, absl::Duration took) {
  layers_.Increment();
  layer_bytes_.Increment(static_cast<double>(tar_bytes));
  layer_seconds_.Observe(absl::ToDoubleSeconds(took));
}

void PrometheusMetrics::OnStore(int64_t images, int64_t layers, int64_t blob_bytes,
                                int64_t layer_bytes) {
  stored_.Add({{"kind", "image"}}).Set(static_cast<double>(images));
  stored_.Add({{"kind", "layer"}}).Set(static_cast<double>(layers));
  stored_bytes_.Add({{"kind", "blob"}}).Set(static_cast<double>(blob_bytes));
  stored_bytes_.Add({{"kind", "layer"}}).Set(static_cast<double>(layer_bytes));
}

}  // namespace slipway::image
