#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/network_verbs.h"
#include "services/container/domain/references.h"
#include "services/container/domain/take.h"

namespace slipway::container {
namespace {

constexpr size_t kMaximumAttachments = 64;

absl::Status CheckModes(const Container& container, const VirtualNetwork& network) {
  const std::string& mode = container.definition->spec.network.mode;
  if (mode == "host" || network.id == kHostNetworkId) {
    return absl::InvalidArgumentError(
        "container cannot be disconnected from host network or connected to host network");
  }
  if (absl::StartsWith(mode, "container:")) {
    return absl::InvalidArgumentError(
        "container sharing network namespace with another container or host cannot be connected "
        "to any other network");
  }
  // Only what was made in "none" goes back to it.
  const bool may_be_none = mode == "none" && AttachmentsOf(*container.definition).empty();
  if (IsInNone(*container.definition) || (network.id == kNoneNetworkId && !may_be_none)) {
    return absl::InvalidArgumentError(
        "container cannot be connected to multiple networks with one of the networks in private "
        "(none) mode");
  }
  return absl::OkStatus();
}

absl::Status CheckState(const Container& container) {
  if (container.state != State::kRemoving && container.state != State::kDead) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "Container ", container.id(),
      " is marked for removal and cannot be connected or disconnected to the network"));
}

std::shared_ptr<Container> WithAttachments(const Container& now,
                                           std::vector<Attachment> attachments,
                                           bool are_all = true) {
  auto definition = std::make_shared<Definition>(*now.definition);
  definition->spec.network.attachments = std::move(attachments);
  definition->spec.network.attachments_are_all = are_all;
  auto next = std::make_shared<Container>(now);
  next->definition = std::move(definition);
  return next;
}

absl::Status Save(Core& core, const EntryPtr& entry, const std::shared_ptr<Container>& next,
                  std::vector<Event> events) {
  StoreBatch batch;
  batch.put_definition = next->definition;
  batch.put_container = next;
  RETURN_IF_ERROR(core.Write(std::move(batch), std::move(events), Durability::kSynced));
  entry->Set(next, Entry::Fire::kNothing);
  return absl::OkStatus();
}

void TakeSettings(const Attachment& from, Attachment& to) {
  Take(from.network, to.network);
  Take(from.network_name, to.network_name);
  Take(from.aliases, to.aliases);
  Take(from.address, to.address);
  Take(from.address6, to.address6);
  Take(from.mac_address, to.mac_address);
  Take(from.links, to.links);
  Take(from.driver_options, to.driver_options);
  Take(from.gateway_priority, to.gateway_priority);
}

// A running one has nothing more than its loopback interface by then.
absl::Status ConnectToNone(Core& core, const EntryPtr& entry, const VirtualNetwork& network) {
  const ContainerPtr now = entry->snapshot();
  const std::shared_ptr<Container> next = WithAttachments(*now, {}, /*are_all=*/false);
  std::vector<Event> events;
  if (HasProcess(now->state)) {
    events.push_back(MakeNetworkEvent(core, network, "connect", now->id()));
  }
  return Save(core, entry, next, std::move(events));
}

absl::Status ConnectNow(Core& core, const EntryPtr& entry, const VirtualNetwork& network,
                        Attachment attachment) {
  const ContainerPtr now = entry->snapshot();
  RETURN_IF_ERROR(CheckModes(*now, network));
  RETURN_IF_ERROR(CheckState(*now));
  RETURN_IF_ERROR(CheckAttachment(network, attachment));
  if (network.id == kNoneNetworkId) return ConnectToNone(core, entry, network);
  RETURN_IF_ERROR(ResolveEndpointLinks(core, attachment.links));
  attachment.network = network.id;
  attachment.network_name = network.name;
  std::vector<Attachment> attachments = AttachmentsOf(*now->definition);
  const bool runs = HasProcess(now->state);
  const auto same = std::find_if(attachments.begin(), attachments.end(),
                                 [&](const auto& other) { return IsOf(core, other, network); });
  if (same != attachments.end()) {
    if (runs) {
      return absl::PermissionDeniedError(absl::StrCat("endpoint with name ", now->name,
                                                      " already exists in network ", network.name));
    }
    TakeSettings(attachment, *same);
    RETURN_IF_ERROR(CheckAttachment(network, *same));
  } else {
    if (attachments.size() >= kMaximumAttachments) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", kMaximumAttachments, " networks"));
    }
    attachments.push_back(attachment);
  }
  // Intent first: what a killed process had begun, reconciliation finishes.
  const std::shared_ptr<Container> intent = WithAttachments(*now, std::move(attachments));
  const std::vector<Event> events = {MakeNetworkEvent(core, network, "connect", now->id())};
  if (!runs) return Save(core, entry, intent, {});
  RETURN_IF_ERROR(Save(core, entry, intent, {}));
  const absl::StatusOr<HostAttachment> host = ToHost(core, *intent, attachment);
  auto endpoints = host.ok() ? core.agent().Connect(now->id(), *host)
                             : absl::StatusOr<std::vector<Endpoint>>(host.status());
  if (!endpoints.ok()) {
    if (!IsUncertain(endpoints.status())) {
      auto undone = std::make_shared<Container>(*now);
      Save(core, entry, undone, {}).IgnoreError();
    }
    return endpoints.status();
  }
  auto next = std::make_shared<Container>(*entry->snapshot());
  next->endpoints = *std::move(endpoints);
  core.Record(*entry, std::move(next), events, Entry::Fire::kNothing);
  return absl::OkStatus();
}

absl::Status DisconnectOnHost(Core& core, const EntryPtr& entry, const std::string& network_id,
                              std::vector<Event> events) {
  absl::StatusOr<std::vector<Endpoint>> left =
      core.agent().Disconnect(entry->snapshot()->id(), network_id);
  if (!left.ok()) return left.status();
  auto next = std::make_shared<Container>(*entry->snapshot());
  next->endpoints = *std::move(left);
  core.Record(*entry, std::move(next), std::move(events), Entry::Fire::kNothing);
  return absl::OkStatus();
}

absl::Status DisconnectNow(Core& core, const EntryPtr& entry, const VirtualNetwork& network) {
  const ContainerPtr now = entry->snapshot();
  if (network.id == kHostNetworkId) {
    return absl::InvalidArgumentError(
        "container cannot be disconnected from host network or connected to host network");
  }
  RETURN_IF_ERROR(CheckState(*now));
  std::vector<Attachment> attachments = AttachmentsOf(*now->definition);
  const bool leaves_none = network.id == kNoneNetworkId && IsInNone(*now->definition);
  const size_t erased =
      std::erase_if(attachments, [&](const Attachment& one) { return IsOf(core, one, network); });
  if (erased == 0 && !leaves_none) {
    return absl::InternalError(
        absl::StrCat("container ", now->id(), " is not connected to network ", network.name));
  }
  RETURN_IF_ERROR(Save(core, entry, WithAttachments(*now, std::move(attachments)), {}));
  if (!HasProcess(now->state)) return absl::OkStatus();
  return DisconnectOnHost(core, entry, network.id,
                          {MakeNetworkEvent(core, network, "disconnect", now->id())});
}

// From a network that is there no more: `missing` says so.
absl::Status DisconnectFromGone(Core& core, const EntryPtr& entry, const std::string& reference,
                                bool force, const absl::Status& missing) {
  const ContainerPtr now = entry->snapshot();
  const bool runs = HasProcess(now->state);
  if (!absl::IsNotFound(missing) || (runs && !force)) return missing;
  RETURN_IF_ERROR(CheckState(*now));
  std::vector<Attachment> attachments = AttachmentsOf(*now->definition);
  const auto gone =
      std::stable_partition(attachments.begin(), attachments.end(), [&](const Attachment& one) {
        return one.network != reference && one.network_name != reference;
      });
  const std::vector<Attachment> erased(gone, attachments.end());
  if (erased.empty()) return missing;
  attachments.erase(gone, attachments.end());
  RETURN_IF_ERROR(Save(core, entry, WithAttachments(*now, std::move(attachments)), {}));
  if (!runs) return absl::OkStatus();
  for (const Attachment& one : erased) {
    RETURN_IF_ERROR(DisconnectOnHost(core, entry, one.network, {}));
  }
  return absl::OkStatus();
}

// Finds the container, and runs `operation` in its turn.
void InTurn(Core& core, const std::string& container,
            std::function<absl::Status(const EntryPtr&)> operation, DoneStatus done) {
  const absl::StatusOr<EntryPtr> entry = core.table().Find(container);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post(
      [entry = *entry, container, operation = std::move(operation), done = std::move(done)] {
        if (entry->removed()) {
          return done(absl::NotFoundError(absl::StrCat("No such container: ", container)));
        }
        done(operation(entry));
      });
}

}  // namespace

void ConnectNetwork(Core& core, const std::string& network, const std::string& container,
                    Attachment attachment, DoneStatus done) {
  done = Observed(core, "connect_network", std::move(done));
  const auto found = core.networks().Find(network);
  if (!found.ok()) return done(found.status());
  InTurn(
      core, container,
      [&core, found = *found, attachment = std::move(attachment)](const EntryPtr& entry) {
        return ConnectNow(core, entry, *found, attachment);
      },
      std::move(done));
}

void DisconnectNetwork(Core& core, const std::string& network, const std::string& container,
                       bool force, DoneStatus done) {
  // A host that does not answer is no matter for force: it is asked again later.
  InTurn(
      core, container,
      [&core, network, force, found = core.networks().Find(network)](const EntryPtr& entry) {
        return found.ok() ? DisconnectNow(core, entry, **found)
                          : DisconnectFromGone(core, entry, network, force, found.status());
      },
      Observed(core, "disconnect_network", std::move(done)));
}

}  // namespace slipway::container
