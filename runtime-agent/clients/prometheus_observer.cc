#include "runtime-agent/clients/prometheus_observer.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildHistogram;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

const Histogram::BucketBoundaries kSeconds = {0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05,
                                              0.1,   0.2,   0.5,   1,     2,    5};

}  // namespace

// Gauges that are read when somebody asks.
class PrometheusObserver::Gauges : public prometheus::Collectable {
 public:
  void Watch(Runtime* runtime, CgroupDriver* cgroups) {
    absl::MutexLock lock(&mutex_);
    runtime_ = runtime;
    cgroups_ = cgroups;
  }

  std::vector<MetricFamily> Collect() const override {
    absl::MutexLock lock(&mutex_);
    if (runtime_ == nullptr) return {};
    const std::vector<ContainerReport> reports = runtime_->List().first;
    std::vector<MetricFamily> families = States(reports);
    MetricFamily& lag =
        Add(families, "slipway_agent_spool_lag_bytes",
            "Spool bytes that the log service has not acknowledged.", MetricType::Gauge);
    AddValue(lag, {}, static_cast<double>(runtime_->shipper().lag_bytes()));
    if (cgroups_ != nullptr) AddCadvisor(reports, families);
    return families;
  }

 private:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  static MetricFamily& Add(std::vector<MetricFamily>& families, const char* name, const char* help,
                           MetricType type) {
    families.push_back({.name = name, .help = help, .type = type});
    return families.back();
  }

  static void AddValue(MetricFamily& family, const Labels& labels, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    if (family.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
  }

  static std::vector<MetricFamily> States(const std::vector<ContainerReport>& reports) {
    std::vector<MetricFamily> families;
    MetricFamily& family =
        Add(families, "slipway_agent_containers", "Containers by state.", MetricType::Gauge);
    double count[kContainerStates] = {};
    for (const ContainerReport& report : reports) ++count[static_cast<size_t>(report.actual.state)];
    for (size_t state = 0; state < kContainerStates; ++state) {
      AddValue(family, {{"state", ContainerStateName(static_cast<ContainerState>(state))}},
               count[state]);
    }
    return families;
  }

  // cAdvisor's names, so that its dashboards work.
  void AddCadvisor(const std::vector<ContainerReport>& reports,
                   std::vector<MetricFamily>& families) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    MetricFamily memory{.name = "container_memory_usage_bytes",
                        .help = "Current memory usage, including all memory.",
                        .type = MetricType::Gauge};
    MetricFamily working_set{.name = "container_memory_working_set_bytes",
                             .help = "Current working set.",
                             .type = MetricType::Gauge};
    MetricFamily cpu{.name = "container_cpu_usage_seconds_total",
                     .help = "Cumulative cpu time consumed.",
                     .type = MetricType::Counter};
    MetricFamily started{.name = "container_start_time_seconds",
                         .help = "Start time since the Unix epoch.",
                         .type = MetricType::Gauge};
    MetricFamily seen{.name = "container_last_seen",
                      .help = "Last time the container was seen.",
                      .type = MetricType::Gauge};
    for (const ContainerReport& report : reports) {
      if (report.actual.pid == 0) continue;
      const auto found = runtime_->Find(report.id);
      if (!found.ok()) continue;
      const Definition& definition = (*found)->definition();
      const std::string& name = definition.name;
      const auto stats = cgroups_->ReadStats(definition.cgroup_name());
      if (!stats.ok()) continue;
      const Labels labels = {{"id", "/slipway/" + report.id}, {"name", name}};
      AddValue(memory, labels, static_cast<double>(stats->memory_usage_bytes));
      AddValue(working_set, labels,
               static_cast<double>(
                   stats->memory_usage_bytes -
                   std::min(stats->memory_inactive_file_bytes, stats->memory_usage_bytes)));
      AddValue(cpu, labels, static_cast<double>(stats->cpu_total_ns) / 1e9);
      AddValue(started, labels, static_cast<double>(report.actual.started_ns) / 1e9);
      AddValue(seen, labels, absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
    }
    for (MetricFamily* family : {&memory, &working_set, &cpu, &started, &seen}) {
      if (!family->metric.empty()) families.push_back(std::move(*family));
    }
  }

  mutable absl::Mutex mutex_;
  Runtime* runtime_ ABSL_GUARDED_BY(mutex_) = nullptr;
  CgroupDriver* cgroups_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

PrometheusObserver::PrometheusObserver(Metrics& metrics) : gauges_(std::make_shared<Gauges>()) {
  prometheus::Registry& registry = *metrics.registry();
  const auto counter = [&registry](const char* name, const char* help) {
    return &BuildCounter().Name(name).Help(help).Register(registry).Add({});
  };
  auto& starts = BuildHistogram()
                     .Name("slipway_agent_start_seconds")
                     .Help("Time of successful starts of containers.")
                     .Register(registry);
  start_seconds_none_ = &starts.Add({{"network", "other"}}, kSeconds);
  start_seconds_bridge_ = &starts.Add({{"network", "bridge"}}, kSeconds);
  failures_ = &BuildCounter()
                   .Name("slipway_agent_start_failures_total")
                   .Help("Starts that failed, by step.")
                   .Register(registry);
  starts_ = counter("slipway_agent_starts_total", "Containers started.");
  exits_ = counter("slipway_agent_exits_total", "Containers that ended.");
  shipped_ = counter("slipway_agent_shipped_bytes_total", "Output sent to the log service.");
  dropped_ = counter("slipway_agent_dropped_bytes_total", "Output that a full spool did not keep.");
  remove_seconds_ = &BuildHistogram()
                         .Name("slipway_agent_remove_seconds")
                         .Help("Time from a removal's acknowledgement to its end.")
                         .Register(registry)
                         .Add({}, kSeconds);
  metrics.Register(gauges_);
}

PrometheusObserver::~PrometheusObserver() { gauges_->Watch(nullptr, nullptr); }

void PrometheusObserver::Watch(Runtime* runtime, CgroupDriver* cgroups) {
  gauges_->Watch(runtime, cgroups);
}

void PrometheusObserver::Started(double seconds, bool on_bridge) {
  starts_->Increment();
  (on_bridge ? start_seconds_bridge_ : start_seconds_none_)->Observe(seconds);
}

void PrometheusObserver::StartFailed(const std::string& step) {
  failures_->Add({{"step", step}}).Increment();
}

void PrometheusObserver::Exited() { exits_->Increment(); }

void PrometheusObserver::ShippedBytes(uint64_t bytes) {
  shipped_->Increment(static_cast<double>(bytes));
}

void PrometheusObserver::DroppedBytes(uint64_t bytes) {
  dropped_->Increment(static_cast<double>(bytes));
}

void PrometheusObserver::Removed(double seconds) { remove_seconds_->Observe(seconds); }

}  // namespace slipway::agent
