#ifndef SERVICES_CONTAINER_DOMAIN_REFERENCES_H_
#define SERVICES_CONTAINER_DOMAIN_REFERENCES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/domain/core.h"
#include "services/container/model/container.h"

// What a container's spec says by way of other containers, made independent of their names and of
// their lives. Thread-safe.
namespace slipway::container {

// As ContainerTable::Find(), but InvalidArgument where there is none: clients take NotFound of a
// create for a missing image, and pull.
absl::StatusOr<EntryPtr> FindReferenced(Core& core, absl::string_view reference);

// An IPC namespace may be joined only where its owner offers it.
absl::Status CheckIpcDonor(Core& core, absl::string_view ipc_mode);

// "name:alias" and "name" become "<id>:<alias>".
absl::Status ResolveLinks(Core& core, ContainerSpec& spec);

// --volumes-from: what the others have mounted, in front of the mounts of the spec and giving way
// to them.
absl::Status InheritVolumes(Core& core, ContainerSpec& spec);

// Names for volumes that have none, a volume for each of `volume_paths` (of image and spec) where
// nothing is mounted, clean targets, and where volumes are on the host.
void CompleteMounts(const std::vector<std::string>& volume_paths,
                    const std::string& volumes_directory, ContainerSpec& spec);

// Lines of /etc/hosts and variables for the links of a container that is about to start.
// FailedPrecondition where a linked container does not run.
absl::StatusOr<StartExtras> LinkExtras(Core& core, const Container& container);

// Tells the host where the linked containers of one that runs are now; best effort, as those that
// do not run have no address.
void UpdateLinkedHosts(Core& core, const Container& linker);
// The same for all that link to a container, which has just got an address.
void UpdateLinkersOf(Core& core, const std::string& id);

// The variables of one link (Docker's "legacy container links"), of `child` as `alias` in a
// container that is called `parent`.
std::vector<std::string> LinkEnvironment(const std::string& parent, const std::string& alias,
                                         const Container& child, const std::string& address);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_REFERENCES_H_
