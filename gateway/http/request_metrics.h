#ifndef GATEWAY_HTTP_REQUEST_METRICS_H_
#define GATEWAY_HTTP_REQUEST_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace slipway::gateway {

// http_requests_total{method,handler,code}, http_request_duration_seconds{handler} and
// http_requests_in_flight. Thread-safe.
class RequestMetrics {
 public:
  using Timer = std::chrono::steady_clock::time_point;

  explicit RequestMetrics(prometheus::Registry& registry);

  Timer Begin();
  // `handler` is a route's pattern, never a client's text: labels stay few.
  void End(Timer timer, absl::string_view method, absl::string_view handler, int status);

 private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Gauge& in_flight_;
  absl::Mutex mu_;
  absl::node_hash_map<std::string, prometheus::Counter*> counters_ ABSL_GUARDED_BY(mu_);
  absl::node_hash_map<std::string, prometheus::Histogram*> histograms_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_REQUEST_METRICS_H_
