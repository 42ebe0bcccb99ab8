#ifndef SERVICES_BUILD_BUILD_METRICS_H_
#define SERVICES_BUILD_BUILD_METRICS_H_

#include <prometheus/collectable.h>

#include <memory>

#include "services/build/rpc/build_service.h"

namespace slipway::build {

// The counters as metric families slipway_build_*. `counters` outlives it. Thread-safe.
std::shared_ptr<prometheus::Collectable> NewBuildCollector(const Counters& counters);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_BUILD_METRICS_H_
