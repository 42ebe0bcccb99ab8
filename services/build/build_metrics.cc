#include "services/build/build_metrics.h"

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

namespace slipway::build {
namespace {

class BuildCollector : public prometheus::Collectable {
 public:
  explicit BuildCollector(const Counters& counters) : counters_(counters) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    const auto add = [&](const char* name, const char* help, prometheus::MetricType type,
                         int64_t value) {
      prometheus::ClientMetric metric;
      (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) =
          static_cast<double>(value);
      families.push_back({std::string("slipway_build_") + name, help, type, {std::move(metric)}});
    };
    const auto counter = prometheus::MetricType::Counter;
    add("running", "Builds under way.", prometheus::MetricType::Gauge, counters_.running.load());
    add("finished_total", "Builds that made an image.", counter, counters_.finished.load());
    add("failed_total", "Builds that failed or were cancelled.", counter, counters_.failed.load());
    add("steps_run_total", "Steps that were made.", counter, counters_.steps_run.load());
    add("steps_cached_total", "Steps that had been made before.", counter,
        counters_.steps_cached.load());
    return families;
  }

 private:
  const Counters& counters_;
};

}  // namespace

std::shared_ptr<prometheus::Collectable> NewBuildCollector(const Counters& counters) {
  return std::make_shared<BuildCollector>(counters);
}

}  // namespace slipway::build
