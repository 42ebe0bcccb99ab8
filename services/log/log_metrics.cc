#include "services/log/log_metrics.h"

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

namespace slipway::log {
namespace {

class LogCollector : public prometheus::Collectable {
 public:
  explicit LogCollector(const Counters& counters) : counters_(counters) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const Counters& c = counters_;
    const auto counter = prometheus::MetricType::Counter;
    const auto gauge = prometheus::MetricType::Gauge;
    std::vector<prometheus::MetricFamily> families;
    const auto add = [&](const char* name, const char* help, prometheus::MetricType type,
                         auto value) {
      prometheus::ClientMetric metric;
      (type == counter ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
      families.push_back({std::string("slipway_log_") + name, help, type, {std::move(metric)}});
    };
    add("appended_bytes_total", "Bytes of output stored.", counter, c.appended_bytes.load());
    add("appended_records_total", "Records stored.", counter, c.appended_records.load());
    add("appended_batches_total", "Batches stored.", counter, c.appended_batches.load());
    add("duplicate_batches_total", "Batches dropped because they were stored already.", counter,
        c.duplicate_batches.load());
    add("gap_bytes_total", "Bytes of spools that never arrived.", counter, c.gap_bytes.load());
    add("dropped_bytes_total", "Bytes of output that full spools did not keep, as told by agents.",
        counter, c.dropped_bytes.load());
    add("outlet_sent_bytes_total", "Bytes of output that outlets took.", counter,
        c.outlet_sent_bytes.load());
    add("outlet_dropped_bytes_total", "Bytes of output that retention deleted before an outlet.",
        counter, c.outlet_dropped_bytes.load());
    add("outlet_failures_total", "Attempts to send to an outlet that failed.", counter,
        c.outlet_failures.load());
    add("append_errors_total", "Batches that could not be written.", counter,
        c.append_errors.load());
    add("sync_errors_total", "Failed fdatasync calls.", counter, c.sync_errors.load());
    add("read_bytes_total", "Bytes of output given to readers.", counter, c.read_bytes.load());
    add("damaged_bytes_total", "Bytes met that were damaged on disk.", counter,
        c.damaged_bytes.load());
    add("retention_deleted_bytes_total", "Bytes deleted to stay within the limits.", counter,
        c.retention_deleted_bytes.load());
    add("stored_bytes", "Bytes that segments take.", gauge, c.stored_bytes.load());
    add("segments", "Segments stored.", gauge, c.segments.load());
    add("containers", "Containers that have a log.", gauge, c.containers.load());
    add("open_logs", "Logs held open.", gauge, c.open_logs.load());
    add("outlets", "Containers whose output goes to an outlet too.", gauge, c.outlets.load());
    add("append_streams", "AppendLog calls under way.", gauge, c.append_streams.load());
    add("readers", "ReadLog calls under way.", gauge, c.readers.load());
    add("waiting_followers", "Readers that have seen everything and wait.", gauge,
        c.waiting_followers.load());
    add("pending_bytes", "Bytes of answers that readers have not taken yet.", gauge,
        c.pending_bytes.load());
    return families;
  }

 private:
  const Counters& counters_;
};

}  // namespace

std::shared_ptr<prometheus::Collectable> NewLogCollector(const Counters& counters) {
  return std::make_shared<LogCollector>(counters);
}

}  // namespace slipway::log
