#ifndef RUNTIME_AGENT_CLIENTS_PROMETHEUS_OBSERVER_H_
#define RUNTIME_AGENT_CLIENTS_PROMETHEUS_OBSERVER_H_

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>

#include <memory>
#include <string>

#include "base/metrics/metrics.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/ports/observer.h"

namespace slipway::agent {

class Runtime;

// The agent's own figures (slipway_agent_*) and cAdvisor's container_* ones. Thread-safe.
class PrometheusObserver : public Observer {
 public:
  // Adds itself to `metrics`; before Metrics::Serve.
  explicit PrometheusObserver(Metrics& metrics);
  ~PrometheusObserver() override;

  // What gauges are read from now and then; null: nothing. `cgroups` may be null.
  void Watch(Runtime* runtime, CgroupDriver* cgroups);

  void Started(double seconds, bool on_bridge) override;
  void StartFailed(const std::string& step) override;
  void Exited() override;
  void ShippedBytes(uint64_t bytes) override;
  void DroppedBytes(uint64_t bytes) override;
  void Removed(double seconds) override;

 private:
  class Gauges;

  const std::shared_ptr<Gauges> gauges_;
  prometheus::Histogram* start_seconds_none_;
  prometheus::Histogram* start_seconds_bridge_;
  prometheus::Family<prometheus::Counter>* failures_;
  prometheus::Counter* starts_;
  prometheus::Counter* exits_;
  prometheus::Counter* shipped_;
  prometheus::Counter* dropped_;
  prometheus::Histogram* remove_seconds_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_CLIENTS_PROMETHEUS_OBSERVER_H_
