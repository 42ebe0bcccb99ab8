#ifndef SERVICES_CONTAINER_DOMAIN_ATTACHMENTS_H_
#define SERVICES_CONTAINER_DOMAIN_ATTACHMENTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/container/domain/core.h"

// Which networks a container is in, and as what. Thread-safe.
namespace slipway::container {

// Whether containers of this mode have endpoints of their own.
bool IsNetworked(absl::string_view mode);
// "", "default" and "bridge".
bool IsDefaultBridge(absl::string_view mode);

// Whether it is in "none". A container of that mode that was taken out of it may be in others.
bool IsInNone(const Definition& definition);

// All of them, in the order of the container's interfaces.
std::vector<Attachment> AttachmentsOf(const Definition& definition);

// Completes and checks the attachments of a container that is being created. A network that is not
// there is none of this' business: a start says so.
absl::Status ResolveAttachments(Core& core, ContainerSpec& spec);

// Whether a container may have this place in this network.
absl::Status CheckAttachment(const VirtualNetwork& network, const Attachment& attachment);

// Links of one endpoint: "name:alias" and "name" become "<id>:<alias>".
absl::Status ResolveEndpointLinks(Core& core, std::vector<std::string>& links);

// The network that it is in now: one that was removed and made again is known by its name. NotFound
// names the network that is not there.
absl::StatusOr<NetworkPtr> NetworkOf(Core& core, const Attachment& attachment);
bool IsOf(Core& core, const Attachment& attachment, const VirtualNetwork& network);

// For the host. NotFound names the network that is not there.
absl::StatusOr<HostAttachment> ToHost(Core& core, const Container& container,
                                      const Attachment& attachment);
absl::StatusOr<std::vector<HostAttachment>> AllToHost(Core& core, const Container& container);

// The host connects a running container as its definition says, and says what it is in; after what
// an earlier process or a gap has left. Inside one of the entry's operations.
void ReconcileAttachments(Core& core, const EntryPtr& entry, const Actual& host);

// An event of a network, about a container where one is given.
Event MakeNetworkEvent(Core& core, const VirtualNetwork& network, absl::string_view action,
                       const std::string& container_id = "");
// One for each network of the container.
void AddNetworkEvents(Core& core, const Container& container, absl::string_view action,
                      std::vector<Event>& events);

// Makes the host have the networks that there are, and no others.
absl::Status ReconcileNetworks(Core& core);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_ATTACHMENTS_H_
