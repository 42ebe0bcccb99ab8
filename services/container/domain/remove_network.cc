#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/labels.h"
#include "services/container/domain/network_verbs.h"

namespace slipway::container {
namespace {

absl::Status RemoveNow(Core& core, const NetworkPtr& network) {
  if (network->builtin) {
    return absl::PermissionDeniedError(
        absl::StrCat(network->name, " is a pre-defined network and cannot be removed"));
  }
  const absl::Status removed = core.agent().RemoveNetwork(network->id);
  if (absl::IsFailedPrecondition(removed)) {
    return absl::PermissionDeniedError(absl::StrCat("error while removing network: network ",
                                                    network->name, " id ", network->id,
                                                    " has active endpoints"));
  }
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  StoreBatch batch;
  batch.delete_network = network->id;
  const absl::Status written = core.Write(
      std::move(batch), {MakeNetworkEvent(core, *network, "destroy")}, Durability::kSynced);
  // The next comparison makes the host have it again.
  RETURN_IF_ERROR(written);
  core.networks().Erase(network->id);
  return absl::OkStatus();
}

bool IsPruned(Core& core, const VirtualNetwork& network, const PruneNetworksCommand& command) {
  if (network.builtin) return false;
  if (command.until_unix_ns != 0 && network.created_unix_ns > command.until_unix_ns) return false;
  if (!LabelsPass(network.labels, command.labels, command.not_labels)) return false;
  for (const ContainerPtr& container : ContainersOf(core, network)) {
    if (HasProcess(container->state)) return false;
  }
  return true;
}

}  // namespace

std::vector<ContainerPtr> ContainersOf(Core& core, const VirtualNetwork& network) {
  std::vector<ContainerPtr> found;
  for (const EntryPtr& entry : core.table().All()) {
    ContainerPtr container = entry->snapshot();
    const std::vector<Attachment> attachments = AttachmentsOf(*container->definition);
    const bool in = std::any_of(attachments.begin(), attachments.end(),
                                [&](const Attachment& one) { return IsOf(core, one, network); });
    if (in) found.push_back(std::move(container));
  }
  return found;
}

void RemoveNetwork(Core& core, const std::string& reference, DoneStatus done) {
  done = Observed(core, "remove_network", std::move(done));
  core.executor().Post([&core, reference, done = std::move(done)] {
    const auto network = core.networks().Find(reference);
    done(network.ok() ? RemoveNow(core, *network) : network.status());
  });
}

void PruneNetworks(Core& core, PruneNetworksCommand command, Done<std::vector<std::string>> done) {
  done = Observed<std::vector<std::string>>(core, "prune_networks", std::move(done));
  core.executor().Post([&core, command = std::move(command), done = std::move(done)] {
    std::vector<std::string> names;
    for (const NetworkPtr& network : core.networks().All()) {
      if (!IsPruned(core, *network, command)) continue;
      // One that a container starts in meanwhile stays.
      if (RemoveNow(core, network).ok()) names.push_back(network->name);
    }
    Event event;
    event.time_unix_ns = core.clock().NowUnixNs();
    event.type = "network";
    event.action = "prune";
    event.attributes["reclaimed"] = "0";
    event.host_id = core.host().host_id;
    core.Write({}, {std::move(event)}, Durability::kSoon).IgnoreError();
    done(std::move(names));
  });
}

}  // namespace slipway::container
