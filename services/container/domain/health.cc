#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/lifecycle.h"
#include "services/container/domain/merge.h"
#include "services/container/domain/verbs.h"

// Docker's health checks: a command in the container, once every interval while it runs and is not
// paused. No thread waits for a probe.
namespace slipway::container {
namespace {

constexpr size_t kLogEntries = 5;
constexpr size_t kOutputBytes = 4096;
constexpr absl::Duration kDefaultInterval = absl::Seconds(30);
constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);
constexpr absl::Duration kDefaultStartInterval = absl::Seconds(5);
constexpr int32_t kDefaultRetries = 3;
constexpr char kRestartLabel[] = "slipway.restart-on-unhealthy";

absl::Duration OrDefault(int64_t ns, absl::Duration fallback) {
  return ns > 0 ? absl::Nanoseconds(ns) : fallback;
}

// Empty where there is nothing to run.
std::vector<std::string> CommandOf(const ImageConfig& config) {
  if (!config.healthcheck.has_value() || config.healthcheck->test.empty()) return {};
  const std::vector<std::string>& test = config.healthcheck->test;
  if (test[0] == "CMD") return {test.begin() + 1, test.end()};
  if (test[0] != "CMD-SHELL" || test.size() < 2) return {};
  std::vector<std::string> command = config.shell;
  if (command.empty()) command = {"/bin/sh", "-c"};
  command.insert(command.end(), test.begin() + 1, test.end());
  return command;
}

bool RestartsWhenUnhealthy(const Definition& definition) {
  for (const StringMap* map : {&definition.effective.labels, &definition.spec.annotations}) {
    const auto found = map->find(kRestartLabel);
    if (found != map->end()) return found->second == "true" || found->second == "1";
  }
  return false;
}

// More often while it starts, where a start period says how long that may take.
absl::Duration IntervalOf(const Container& container, int64_t now_unix_ns) {
  const Healthcheck& check = *container.definition->effective.healthcheck;
  const bool in_start_period = now_unix_ns - container.started_unix_ns < check.start_period_ns;
  if (in_start_period && container.health != nullptr &&
      container.health->status == Health::Status::kStarting) {
    return OrDefault(check.start_interval_ns, kDefaultStartInterval);
  }
  return OrDefault(check.interval_ns, kDefaultInterval);
}

// Docker's rules: a failure in the start period does not count until one probe succeeded.
Health Judge(const Container& container, HealthProbe probe) {
  const Healthcheck& check = *container.definition->effective.healthcheck;
  Health health = container.health == nullptr ? Health{} : *container.health;
  const bool excused = health.status == Health::Status::kStarting &&
                       probe.started_unix_ns - container.started_unix_ns < check.start_period_ns;
  if (probe.exit_code == 0) {
    health.failing_streak = 0;
    health.status = Health::Status::kHealthy;
  } else if (!excused) {
    const int32_t retries = check.retries > 0 ? check.retries : kDefaultRetries;
    if (++health.failing_streak >= retries) health.status = Health::Status::kUnhealthy;
  }
  if (health.log.size() >= kLogEntries) {
    health.log.erase(health.log.begin(),
                     health.log.end() - static_cast<ptrdiff_t>(kLogEntries - 1));
  }
  health.log.push_back(std::move(probe));
  return health;
}

HealthProbe ProbeOf(ProbeResult result, absl::Duration timeout) {
  HealthProbe probe{.started_unix_ns = result.started_unix_ns,
                    .finished_unix_ns = result.finished_unix_ns,
                    .exit_code = result.exit_code,
                    .output = std::move(result.output)};
  if (result.timed_out) {
    probe.exit_code = -1;
    std::string output =
        absl::StrCat("Health check exceeded timeout (", absl::FormatDuration(timeout), ")");
    if (!probe.output.empty()) absl::StrAppend(&output, ": ", probe.output);
    probe.output = output.substr(0, kOutputBytes);
  }
  return probe;
}

void Schedule(Core& core, const EntryPtr& entry, uint64_t series);

bool Counts(const EntryPtr& entry, uint64_t series) {
  return !entry->removed() && entry->pending.health_series == series &&
         entry->snapshot()->state == State::kRunning;
}

void Record(Core& core, const EntryPtr& entry, HealthProbe probe) {
  const ContainerPtr now = entry->snapshot();
  const Health::Status before =
      now->health == nullptr ? Health::Status::kNone : now->health->status;
  auto health = std::make_shared<const Health>(Judge(*now, std::move(probe)));
  auto next = std::make_shared<Container>(*now);
  next->health = health;
  std::vector<Event> events;
  if (health->status != before) {
    events.push_back(
        core.MakeEvent(*next, absl::StrCat("health_status: ", HealthName(health->status))));
  }
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kNothing);
  const bool restart = health->status == Health::Status::kUnhealthy && health->status != before &&
                       RestartsWhenUnhealthy(*now->definition);
  if (!restart) return;
  RestartContainer(core, {.reference = now->id()}, [&core, id = now->id()](absl::Status status) {
    if (!status.ok()) core.observer().Warning("restart of an unhealthy container", id, status);
  });
}

void Probe(Core& core, const EntryPtr& entry, uint64_t series) {
  if (!Counts(entry, series)) return;
  const ContainerPtr now = entry->snapshot();
  const Definition& definition = *now->definition;
  const absl::Duration timeout =
      OrDefault(definition.effective.healthcheck->timeout_ns, kDefaultTimeout);
  ProbeCommand command{
      .exec = {.exec_id = NewId(),
               .container_id = now->id(),
               .env = ProcessEnv(definition.effective.env, definition.hostname, /*tty=*/false),
               .user = definition.effective.user,
               .working_directory = definition.effective.working_directory},
      .timeout = timeout,
      .output_limit_bytes = kOutputBytes};
  command.exec.spec.command = CommandOf(definition.effective);
  core.agent().RunProbe(
      command, [&core, entry, series, timeout](absl::StatusOr<ProbeResult> result) {
        entry->Post([&core, entry, series, timeout, result = std::move(result)]() mutable {
          if (!Counts(entry, series)) return;
          // An agent that is away says nothing about the container.
          if (result.ok()) Record(core, entry, ProbeOf(*std::move(result), timeout));
          Schedule(core, entry, series);
        });
      });
}

void Schedule(Core& core, const EntryPtr& entry, uint64_t series) {
  const ContainerPtr now = entry->snapshot();
  core.clock().RunAfter(IntervalOf(*now, core.clock().NowUnixNs()), [&core, entry, series] {
    entry->Post([&core, entry, series] { Probe(core, entry, series); });
  });
}

}  // namespace

std::shared_ptr<const Health> FreshHealth(const Container& container) {
  if (CommandOf(container.definition->effective).empty()) return nullptr;
  auto fresh = std::make_shared<Health>();
  if (container.health != nullptr) fresh->log = container.health->log;
  fresh->status = Health::Status::kStarting;
  return fresh;
}

std::shared_ptr<const Health> HealthAfterTheEnd(const Container& container) {
  if (container.health == nullptr) return nullptr;
  auto ended = std::make_shared<Health>(*container.health);
  ended->status = Health::Status::kUnhealthy;
  return ended;
}

void BeginHealth(Core& core, const EntryPtr& entry) {
  const uint64_t series = ++entry->pending.health_series;
  if (CommandOf(entry->snapshot()->definition->effective).empty()) return;
  Schedule(core, entry, series);
}

void EndHealth(const EntryPtr& entry) { ++entry->pending.health_series; }

}  // namespace slipway::container
