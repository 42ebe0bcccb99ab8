#include "services/container/domain/attachments.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/network_addresses.h"
#include "services/container/domain/references.h"

namespace slipway::container {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

constexpr size_t kShortIdLength = 12;
constexpr size_t kMaximumAttachments = 64;
constexpr size_t kMaximumAliases = 64;
constexpr size_t kMaximumNameBytes = 253;

// An address that the client chose must be in a subnet that a client chose.
absl::Status CheckAddress(const VirtualNetwork& network, const std::string& text, bool v6) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<IpAddress> address = ParseAddress(text);
  if (!address.ok() || address->v6 != v6) {
    return Bad("invalid ", v6 ? "IPv6" : "IPv4", " address: ", text.substr(0, 100));
  }
  bool requested = false;
  for (const Subnet& subnet : network.subnets) {
    const auto block = AddressBlock::Parse(subnet.subnet);
    if (!block.ok() || !subnet.requested) continue;
    requested = true;
    if (!block->Contains(*address)) continue;
    if (subnet.gateway == FormatAddress(*address)) {
      return absl::PermissionDeniedError("Address already in use");
    }
    return absl::OkStatus();
  }
  if (!requested) {
    return Bad(
        "user specified IP address is supported only when connecting to networks with user "
        "configured subnets");
  }
  return Bad("no configured subnet or ip-range contain the IP address ", text);
}

absl::Status CheckNoAddress(const Attachment& attachment) {
  if (attachment.address.empty() && attachment.address6.empty()) return absl::OkStatus();
  return Bad("user specified IP address is supported on user defined networks only");
}

// By name or id, of what the client wrote.
bool Names(const Attachment& attachment, const NetworkPtr& network, absl::string_view reference) {
  if (attachment.network == reference) return true;
  return network != nullptr && (attachment.network == network->name ||
                                (attachment.network.size() >= kShortIdLength &&
                                 absl::StartsWith(network->id, attachment.network)));
}

bool IsIn(const std::vector<Endpoint>& endpoints, const std::string& network_id) {
  return std::any_of(endpoints.begin(), endpoints.end(),
                     [&](const Endpoint& endpoint) { return endpoint.network_id == network_id; });
}

bool IsNamedSo(const Actual& host, const HostAttachment& attachment) {
  const auto names = host.names.find(attachment.network_id);
  return names == host.names.end() ? attachment.names.empty() : names->second == attachment.names;
}

}  // namespace

bool IsNetworked(absl::string_view mode) {
  return mode != "host" && mode != "none" && !absl::StartsWith(mode, "container:");
}

bool IsDefaultBridge(absl::string_view mode) {
  return mode.empty() || mode == "default" || mode == "bridge";
}

bool IsInNone(const Definition& definition) {
  const Network& network = definition.spec.network;
  return network.mode == "none" && !network.attachments_are_all;
}

std::vector<Attachment> AttachmentsOf(const Definition& definition) {
  const Network& network = definition.spec.network;
  if (network.attachments_are_all) return network.attachments;
  if (!IsDefaultBridge(network.mode)) return {};
  // Of a container from before there were others.
  return {Attachment{
      .network = kBridgeNetworkId, .network_name = "bridge", .mac_address = network.mac_address}};
}

absl::Status CheckAttachment(const VirtualNetwork& network, const Attachment& attachment) {
  if (network.id == kBridgeNetworkId) {
    if (!attachment.aliases.empty()) {
      return Bad("network-scoped alias is supported only for containers in user defined networks");
    }
    RETURN_IF_ERROR(CheckNoAddress(attachment));
    if (!attachment.links.empty()) {
      return Bad("links of an endpoint are supported only in user defined networks");
    }
  }
  if (attachment.aliases.size() > kMaximumAliases) {
    return Bad("more than ", kMaximumAliases, " aliases");
  }
  for (const std::string& alias : attachment.aliases) {
    if (alias.empty() || alias.size() > kMaximumNameBytes) return Bad("invalid alias: ", alias);
  }
  RETURN_IF_ERROR(CheckAddress(network, attachment.address, /*v6=*/false));
  return CheckAddress(network, attachment.address6, /*v6=*/true);
}

absl::Status ResolveEndpointLinks(Core& core, std::vector<std::string>& links) {
  ContainerSpec carrier;
  carrier.network.links = std::move(links);
  RETURN_IF_ERROR(ResolveLinks(core, carrier));
  links = std::move(carrier.network.links);
  return absl::OkStatus();
}

absl::Status ResolveAttachments(Core& core, ContainerSpec& spec) {
  Network& network = spec.network;
  if (!IsNetworked(network.mode)) {
    for (const Attachment& attachment : network.attachments) {
      if (!IsNetworked(attachment.network)) RETURN_IF_ERROR(CheckNoAddress(attachment));
      if (attachment.network == network.mode) continue;
      return Bad("conflicting options: cannot attach both user-defined and non-user-defined ",
                 "network-modes");
    }
    network.attachments.clear();
    return absl::OkStatus();
  }
  if (network.attachments.size() > kMaximumAttachments) {
    return Bad("more than ", kMaximumAttachments, " networks");
  }
  const std::string mode = IsDefaultBridge(network.mode) ? "bridge" : network.mode;
  const auto main = core.networks().Find(mode);
  const NetworkPtr main_network = main.ok() ? *main : nullptr;
  std::vector<Attachment> asked = std::move(network.attachments);
  std::stable_sort(asked.begin(), asked.end(), [&](const Attachment& a, const Attachment& b) {
    return Names(a, main_network, mode) > Names(b, main_network, mode);
  });
  if (asked.empty() || !Names(asked.front(), main_network, mode)) {
    asked.insert(asked.begin(), Attachment{.network = mode});
  }
  if (asked.front().mac_address.empty()) asked.front().mac_address = network.mac_address;
  if (!IsDefaultBridge(network.mode)) asked.front().links = network.links;
  absl::flat_hash_set<std::string> seen;
  for (Attachment& attachment : asked) {
    RETURN_IF_ERROR(ResolveEndpointLinks(core, attachment.links));
    const auto found = core.networks().Find(attachment.network);
    if (found.ok()) {
      RETURN_IF_ERROR(CheckAttachment(**found, attachment));
      if (!IsNetworked((*found)->name)) {
        return Bad("container cannot be connected to network endpoints: ", (*found)->name);
      }
      attachment.network = (*found)->id;
      attachment.network_name = (*found)->name;
    } else {
      attachment.network_name = attachment.network;
    }
    if (!seen.insert(attachment.network).second) {
      return Bad("network ", attachment.network_name, " is named twice");
    }
  }
  network.attachments = std::move(asked);
  network.attachments_are_all = true;
  return absl::OkStatus();
}

absl::StatusOr<NetworkPtr> NetworkOf(Core& core, const Attachment& attachment) {
  if (NetworkPtr known = core.networks().FindById(attachment.network)) return known;
  const absl::StatusOr<NetworkPtr> network = core.networks().Find(attachment.network);
  // It may have been made again since, or for the first time.
  return network.ok() ? network : core.networks().Find(attachment.network_name);
}

bool IsOf(Core& core, const Attachment& attachment, const VirtualNetwork& network) {
  const auto now = NetworkOf(core, attachment);
  return now.ok() && (*now)->id == network.id;
}

absl::StatusOr<HostAttachment> ToHost(Core& core, const Container& container,
                                      const Attachment& attachment) {
  const absl::StatusOr<NetworkPtr> network = NetworkOf(core, attachment);
  if (!network.ok()) return network.status();
  RETURN_IF_ERROR(CheckAttachment(**network, attachment));
  HostAttachment to{.network_id = (*network)->id,
                    .address = attachment.address,
                    .address6 = attachment.address6,
                    .mac_address = attachment.mac_address,
                    .gateway_priority = attachment.gateway_priority,
                    .driver_options = attachment.driver_options};
  if ((*network)->builtin) return to;
  to.names = {container.name};
  to.names.insert(to.names.end(), attachment.aliases.begin(), attachment.aliases.end());
  to.names.push_back(container.id().substr(0, kShortIdLength));
  to.names.push_back(container.definition->hostname);
  absl::flat_hash_set<std::string> seen;
  std::erase_if(to.names, [&](const std::string& name) { return !seen.insert(name).second; });
  for (const std::string& link : attachment.links) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(link, ':');
    to.links[parts.second] = parts.first;
  }
  return to;
}

absl::StatusOr<std::vector<HostAttachment>> AllToHost(Core& core, const Container& container) {
  std::vector<HostAttachment> all;
  for (const Attachment& attachment : AttachmentsOf(*container.definition)) {
    ASSIGN_OR_RETURN(HostAttachment one, ToHost(core, container, attachment));
    all.push_back(std::move(one));
  }
  return all;
}

void ReconcileAttachments(Core& core, const EntryPtr& entry, const Actual& host) {
  const std::vector<Endpoint>& actual = host.endpoints;
  const ContainerPtr now = entry->snapshot();
  const std::string& mode = now->definition->spec.network.mode;
  const bool left_none = mode == "none" && !IsInNone(*now->definition);
  if (entry->removed() || !HasProcess(now->state) || (!IsNetworked(mode) && !left_none)) return;
  const auto warn = [&](const absl::Status& status) {
    core.observer().Warning("networks of a container", now->id(), status);
  };
  const auto wanted = AllToHost(core, *now);
  if (!wanted.ok()) return warn(wanted.status());
  std::vector<Endpoint> endpoints = actual;
  for (const HostAttachment& attachment : *wanted) {
    // Renamed meanwhile, it gets its names by being connected again.
    if (IsIn(actual, attachment.network_id) && IsNamedSo(host, attachment)) continue;
    auto connected = core.agent().Connect(now->id(), attachment);
    if (!connected.ok()) return warn(connected.status());
    endpoints = *std::move(connected);
  }
  for (const Endpoint& endpoint : actual) {
    const bool keep = std::any_of(wanted->begin(), wanted->end(), [&](const HostAttachment& one) {
      return one.network_id == endpoint.network_id;
    });
    // What is in "none" names no network.
    if (keep || endpoint.network_id.empty()) continue;
    auto left = core.agent().Disconnect(now->id(), endpoint.network_id);
    if (!left.ok()) return warn(left.status());
    endpoints = *std::move(left);
  }
  UpdateLinkedHosts(core, *now);
  if (endpoints == now->endpoints) return;
  auto next = std::make_shared<Container>(*now);
  next->endpoints = std::move(endpoints);
  core.Record(*entry, std::move(next), {}, Entry::Fire::kNothing);
  UpdateLinkersOf(core, now->id());
}

Event MakeNetworkEvent(Core& core, const VirtualNetwork& network, absl::string_view action,
                       const std::string& container_id) {
  Event event;
  event.time_unix_ns = core.clock().NowUnixNs();
  event.type = "network";
  event.action = std::string(action);
  event.actor_id = network.id;
  event.host_id = core.host().host_id;
  event.attributes = network.labels;
  event.attributes["name"] = network.name;
  event.attributes["type"] = network.driver;
  if (!container_id.empty()) event.attributes["container"] = container_id;
  return event;
}

void AddNetworkEvents(Core& core, const Container& container, absl::string_view action,
                      std::vector<Event>& events) {
  std::vector<Attachment> attachments = AttachmentsOf(*container.definition);
  if (container.definition->spec.network.mode == "host") {
    attachments.push_back({.network = kHostNetworkId});
  }
  if (IsInNone(*container.definition)) attachments.push_back({.network = kNoneNetworkId});
  for (const Attachment& attachment : attachments) {
    const auto network = NetworkOf(core, attachment);
    if (!network.ok()) continue;
    events.push_back(MakeNetworkEvent(core, **network, action, container.id()));
  }
}

absl::Status ReconcileNetworks(Core& core) {
  ASSIGN_OR_RETURN(const std::vector<std::string> present, core.agent().ListNetworks());
  for (const NetworkPtr& network : core.networks().All()) {
    if (network->builtin) continue;
    const absl::Status put = core.agent().PutNetwork(*network, /*refuse_overlap=*/false);
    if (put.ok()) continue;
    if (IsUncertain(put)) return put;
    core.observer().Warning("a network cannot be made", network->id, put);
  }
  for (const std::string& id : present) {
    if (core.networks().Knows(id)) continue;
    const absl::Status removed = core.agent().RemoveNetwork(id);
    if (!removed.ok()) core.observer().Warning("removal of an unknown network", id, removed);
  }
  return absl::OkStatus();
}

}  // namespace slipway::container
