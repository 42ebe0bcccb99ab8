#include "services/container/metrics_observer.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "services/container/domain/container_state.h"

namespace slipway::container {
namespace {

// "exec_create: /bin/sh" counts as "exec_create": what clients choose must not make series.
std::string ActionClass(absl::string_view action) {
  return std::string(action.substr(0, action.find(':')));
}

}  // namespace

MetricsObserver::MetricsObserver(prometheus::Registry& registry)
    : operations_(prometheus::BuildCounter()
                      .Name("slipway_container_operations_total")
                      .Help("Operations on containers, by verb and outcome.")
                      .Register(registry)),
      seconds_(prometheus::BuildHistogram()
                   .Name("slipway_container_operation_seconds")
                   .Help("Time from an operation's request to its end, in seconds.")
                   .Register(registry)),
      events_(prometheus::BuildCounter()
                  .Name("slipway_container_events_total")
                  .Help("Events written, by action.")
                  .Register(registry)),
      warnings_(prometheus::BuildCounter()
                    .Name("slipway_container_warnings_total")
                    .Help("Things that an operator should see; each is in the log.")
                    .Register(registry)
                    .Add({})),
      waiters_(prometheus::BuildGauge()
                   .Name("slipway_container_waiters")
                   .Help("Waits for the end of a container.")
                   .Register(registry)
                   .Add({})),
      watchers_(prometheus::BuildGauge()
                    .Name("slipway_container_event_watchers")
                    .Help("Open streams of events.")
                    .Register(registry)
                    .Add({})) {
  auto& states = prometheus::BuildGauge()
                     .Name("slipway_container_containers")
                     .Help("Containers, by state.")
                     .Register(registry);
  for (int i = 0; i < kStateCount; ++i) {
    states_[static_cast<size_t>(i)] =
        &states.Add({{"state", std::string(StateName(static_cast<State>(i)))}});
  }
}

void MetricsObserver::OperationDone(absl::string_view verb, const absl::Status& status,
                                    absl::Duration duration) {
  operations_
      .Add({{"verb", std::string(verb)}, {"outcome", absl::StatusCodeToString(status.code())}})
      .Increment();
  seconds_
      .Add({{"verb", std::string(verb)}},
           prometheus::Histogram::BucketBoundaries{.0005, .001, .0025, .005, .01, .025, .05, .1,
                                                   .25, .5, 1, 2.5, 5, 10, 30})
      .Observe(absl::ToDoubleSeconds(duration));
}

void MetricsObserver::StateCount(State state, int change) {
  states_[static_cast<size_t>(state)]->Increment(change);
}

void MetricsObserver::EventWritten(absl::string_view action) {
  events_.Add({{"action", ActionClass(action)}}).Increment();
}

void MetricsObserver::WaiterCount(int change) { waiters_.Increment(change); }

void MetricsObserver::WatcherCount(int change) { watchers_.Increment(change); }

void MetricsObserver::Warning(absl::string_view message, absl::string_view container_id,
                              const absl::Status& status) {
  warnings_.Increment();
  Log(LogLevel::kWarning, message,
      {{"container", std::string(container_id)}, {"status", status.ToString()}});
}

}  // namespace slipway::container
