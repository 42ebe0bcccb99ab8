#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {

absl::StatusOr<ProcessTable> Runtime::Top(const std::string& id,
                                          const std::vector<std::string>& ps_options) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  ASSIGN_OR_RETURN(const std::vector<ProcessColumn> columns, ParsePsOptions(ps_options));
  if (container->actual().state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("Container ", id, " is not running"));
  }
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids,
                   parts_.cgroups->ListProcesses(container->definition().cgroup_name()));
  return ListProcesses(pids, columns);
}

std::optional<StatsSampler::Subject> Runtime::SubjectOf(const std::string& id) const {
  const auto found = Find(id);
  if (!found.ok()) return std::nullopt;
  const Actual actual = (*found)->actual();
  if (actual.state != ContainerState::kRunning || actual.pid == 0) return std::nullopt;
  using Kind = NamespaceMode::Kind;
  const Kind kind = (*found)->definition().network.kind;
  return StatsSampler::Subject{
      .pid = actual.pid,
      .run = actual.runs,
      .group = (*found)->definition().cgroup_name(),
      .has_interfaces = kind == Kind::kNone ? !actual.endpoints.empty() : kind != Kind::kHost};
}

std::vector<std::string> Runtime::RunningContainers() const {
  std::vector<std::string> ids;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, container] : containers_) {
    if (container->actual().state == ContainerState::kRunning) ids.push_back(id);
  }
  return ids;
}

// Told at once, and not only with the end of the container, which may go on: a worker of it was
// killed.
void Runtime::WatchOom(const std::shared_ptr<Container>& container) {
  const std::shared_ptr<RunHandles> handles = container->handles();
  auto watch = parts_.cgroups->WatchOom(container->definition().cgroup_name());
  // Without it the end of the run tells.
  if (!watch.ok() || handles == nullptr) return;
  auto shared = std::make_shared<OomWatch>(*std::move(watch));
  handles->SetOom(shared);
  const auto kills = parts_.cgroups->ReadOomKills(container->definition().cgroup_name());
  parts_.loop->Post([this, container, shared, known = kills.ok() ? *kills : 0] {
    AwaitOom(container, shared, known);
  });
}

void Runtime::UnwatchOom(const Container& container) {
  const std::shared_ptr<RunHandles> handles = container.handles();
  if (handles == nullptr) return;
  std::shared_ptr<OomWatch> watch = handles->oom();
  if (watch == nullptr) return;
  handles->SetOom(nullptr);
  parts_.loop->Post([this, watch = std::move(watch)] { parts_.loop->Unwatch(watch->fd.get()); });
}

// On the loop.
void Runtime::AwaitOom(const std::shared_ptr<Container>& container, std::shared_ptr<OomWatch> watch,
                       uint64_t known_kills) {
  const std::shared_ptr<RunHandles> handles = container->handles();
  if (handles == nullptr || handles->oom() != watch) return;
  const int fd = watch->fd.get();
  const uint32_t events = watch->events;
  parts_.loop->WatchOnce(fd, events, [this, container, watch = std::move(watch), known_kills] {
    executor_->Post(
        [this, container, watch, known_kills] { ReportOom(container, watch, known_kills); });
  });
}

void Runtime::ReportOom(const std::shared_ptr<Container>& container,
                        const std::shared_ptr<OomWatch>& watch, uint64_t known_kills) {
  char ignored[512];
  (void)lseek(watch->fd.get(), 0, SEEK_SET);
  (void)!read(watch->fd.get(), ignored, sizeof(ignored));
  auto kills = parts_.cgroups->ReadOomKills(container->definition().cgroup_name());
  // cgroup v1 tells when it begins to look for a victim, and nothing tells of the kill.
  for (int i = 0; i < 50 && kills.ok() && *kills <= known_kills; ++i) {
    absl::SleepFor(absl::Milliseconds(1));
    kills = parts_.cgroups->ReadOomKills(container->definition().cgroup_name());
  }
  if (!kills.ok()) return;  // the group is gone
  if (*kills > known_kills) {
    const absl::Status saved = events_->Append(
        {.kind = HostEvent::Kind::kOutOfMemory, .container = container->Report()}, {});
    if (!saved.ok()) Log(LogLevel::kError, saved.message(), {{"container", container->id()}});
  }
  parts_.loop->Post([this, container, watch, known = std::max(*kills, known_kills)] {
    AwaitOom(container, watch, known);
  });
}

}  // namespace slipway::agent
