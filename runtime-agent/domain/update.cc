#include <utility>

#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"

namespace slipway::agent {

absl::StatusOr<std::vector<std::string>> Runtime::UpdateLimits(const std::string& id,
                                                               const ResourceSpec& resources) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  ASSIGN_OR_RETURN(CgroupLimits next, DefineLimits(resources, facts_));
  const Container::Turn turn(*container);
  DropReady(id);
  next.all_devices = container->limits().all_devices;
  next.devices = container->limits().devices;
  std::vector<std::string> warnings;
  if (container->actual().state == ContainerState::kRunning) {
    ASSIGN_OR_RETURN(warnings,
                     parts_.cgroups->ApplyLimits(container->definition().cgroup_name(), next));
  }
  Definition definition = container->definition();
  definition.limits = next;
  RETURN_IF_ERROR(parts_.store->Save({.definition = &definition}));
  container->SetLimits(std::move(next));
  return warnings;
}

}  // namespace slipway::agent
