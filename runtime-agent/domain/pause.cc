#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {

absl::Status Runtime::Pause(const std::string& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const Container::Turn turn(*container);
  const Actual actual = container->actual();
  if (actual.state != ContainerState::kRunning || actual.pid == 0) {
    return absl::FailedPreconditionError(absl::StrCat("Container ", id, " is not running"));
  }
  RETURN_IF_ERROR(parts_.cgroups->Freeze(container->definition().cgroup_name()));
  container->Update([](Actual& now) { now.paused = true; });
  return SaveActual(*container);
}

// Without the turn: a removal that has it may wait for the end of what is frozen.
absl::Status Runtime::Unpause(const std::string& id) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  const absl::Status thawed = parts_.cgroups->Thaw(container->definition().cgroup_name());
  // A run that is over has no group any more.
  if (!thawed.ok() && !absl::IsNotFound(thawed)) return thawed;
  container->Update([](Actual& now) { now.paused = false; });
  return SaveActual(*container);
}

}  // namespace slipway::agent
