#ifndef SERVICES_LOG_LOG_METRICS_H_
#define SERVICES_LOG_LOG_METRICS_H_

#include <prometheus/collectable.h>

#include <memory>

#include "services/log/ports/counters.h"

namespace slipway::log {

// The counters as metric families slipway_log_*. `counters` outlives it. Thread-safe.
std::shared_ptr<prometheus::Collectable> NewLogCollector(const Counters& counters);

}  // namespace slipway::log

#endif  // SERVICES_LOG_LOG_METRICS_H_
