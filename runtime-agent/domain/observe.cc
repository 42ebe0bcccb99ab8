#include <utility>

#include "absl/strings/str_cat.h"
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
  return StatsSampler::Subject{.pid = actual.pid,
                               .run = actual.runs,
                               .group = (*found)->definition().cgroup_name(),
                               .has_interfaces = kind != Kind::kHost && kind != Kind::kNone};
}

std::vector<std::string> Runtime::RunningContainers() const {
  std::vector<std::string> ids;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, container] : containers_) {
    if (container->actual().state == ContainerState::kRunning) ids.push_back(id);
  }
  return ids;
}

}  // namespace slipway::agent
