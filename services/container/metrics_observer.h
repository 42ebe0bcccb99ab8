#ifndef SERVICES_CONTAINER_METRICS_OBSERVER_H_
#define SERVICES_CONTAINER_METRICS_OBSERVER_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>

#include "services/container/ports/observer.h"

namespace slipway::container {

// The service's own figures:
//   slipway_container_containers{state}                    how many there are
//   slipway_container_operations_total{verb, outcome}      outcome: "OK" or the status code's name
//   slipway_container_operation_seconds{verb}              from the request to its end
//   slipway_container_events_total{action}                 written events
//   slipway_container_waiters, _event_watchers             open calls
//   slipway_container_warnings_total                       what was also logged
// Thread-safe.
class MetricsObserver : public Observer {
 public:
  // The registry outlives it.
  explicit MetricsObserver(prometheus::Registry& registry);

  void OperationDone(absl::string_view verb, const absl::Status& status,
                     absl::Duration duration) override;
  void StateCount(State state, int change) override;
  void EventWritten(absl::string_view action) override;
  void WaiterCount(int change) override;
  void WatcherCount(int change) override;
  void Warning(absl::string_view message, absl::string_view container_id,
               const absl::Status& status) override;

 private:
  prometheus::Family<prometheus::Counter>& operations_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Family<prometheus::Counter>& events_;
  prometheus::Counter& warnings_;
  prometheus::Gauge& waiters_;
  prometheus::Gauge& watchers_;
  std::array<prometheus::Gauge*, kStateCount> states_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_METRICS_OBSERVER_H_
