#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/network_verbs.h"
#include "services/container/domain/references.h"

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
  if (mode == "none" || network.id == kNoneNetworkId) {
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
                                           std::vector<Attachment> attachments) {
  auto definition = std::make_shared<Definition>(*now.definition);
  definition->spec.network.attachments = std::move(attachments);
  definition->spec.network.attachments_are_all = true;
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

absl::Status ConnectNow(Core& core, const EntryPtr& entry, const VirtualNetwork& network,
                        Attachment attachment) {
  const ContainerPtr now = entry->snapshot();
  RETURN_IF_ERROR(CheckModes(*now, network));
  RETURN_IF_ERROR(CheckState(*now));
  RETURN_IF_ERROR(CheckAttachment(network, attachment));
  RETURN_IF_ERROR(ResolveEndpointLinks(core, attachment.links));
  attachment.network = network.id;
  attachment.network_name = network.name;
  std::vector<Attachment> attachments = AttachmentsOf(*now->definition);
  const bool runs = HasProcess(now->state);
  const auto same = std::find_if(attachments.begin(), attachments.end(),
                                 [&](const auto& other) { return other.network == network.id; });
  if (same != attachments.end()) {
    if (runs) {
      return absl::PermissionDeniedError(absl::StrCat("endpoint with name ", now->name,
                                                      " already exists in network ", network.name));
    }
    *same = attachment;
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

absl::Status DisconnectNow(Core& core, const EntryPtr& entry, const VirtualNetwork& network) {
  const ContainerPtr now = entry->snapshot();
  if (network.id == kHostNetworkId) {
    return absl::InvalidArgumentError(
        "container cannot be disconnected from host network or connected to host network");
  }
  RETURN_IF_ERROR(CheckState(*now));
  std::vector<Attachment> attachments = AttachmentsOf(*now->definition);
  const size_t before = attachments.size();
  std::erase_if(attachments, [&](const Attachment& one) {
    return one.network == network.id || one.network == network.name;
  });
  if (attachments.size() == before) {
    return absl::InternalError(
        absl::StrCat("container ", now->id(), " is not connected to network ", network.name));
  }
  std::shared_ptr<Container> next = WithAttachments(*now, std::move(attachments));
  if (!HasProcess(now->state)) return Save(core, entry, next, {});
  RETURN_IF_ERROR(Save(core, entry, next, {}));
  absl::StatusOr<std::vector<Endpoint>> left = core.agent().Disconnect(now->id(), network.id);
  if (!left.ok()) return left.status();
  next = std::make_shared<Container>(*entry->snapshot());
  next->endpoints = *std::move(left);
  core.Record(*entry, std::move(next), {MakeNetworkEvent(core, network, "disconnect", now->id())},
              Entry::Fire::kNothing);
  return absl::OkStatus();
}

// Finds both, and runs `operation` in the container's turn.
void WithBoth(Core& core, const std::string& network, const std::string& container,
              std::function<absl::Status(const EntryPtr&, const VirtualNetwork&)> operation,
              DoneStatus done) {
  const auto found = core.networks().Find(network);
  if (!found.ok()) return done(found.status());
  const absl::StatusOr<EntryPtr> entry = core.table().Find(container);
  if (!entry.ok()) return done(entry.status());
  (*entry)->Post([entry = *entry, found = *found, container, operation = std::move(operation),
                  done = std::move(done)] {
    if (entry->removed()) {
      return done(absl::NotFoundError(absl::StrCat("No such container: ", container)));
    }
    done(operation(entry, *found));
  });
}

}  // namespace

void ConnectNetwork(Core& core, const std::string& network, const std::string& container,
                    Attachment attachment, DoneStatus done) {
  WithBoth(
      core, network, container,
      [&core, attachment = std::move(attachment)](const EntryPtr& entry,
                                                  const VirtualNetwork& found) {
        return ConnectNow(core, entry, found, attachment);
      },
      Observed(core, "connect_network", std::move(done)));
}

void DisconnectNetwork(Core& core, const std::string& network, const std::string& container,
                       bool force, DoneStatus done) {
  // There is nothing that force would overcome: a host that does not answer is asked again later.
  (void)force;
  WithBoth(
      core, network, container,
      [&core](const EntryPtr& entry, const VirtualNetwork& found) {
        return DisconnectNow(core, entry, found);
      },
      Observed(core, "disconnect_network", std::move(done)));
}

}  // namespace slipway::container
