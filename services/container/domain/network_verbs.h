#ifndef SERVICES_CONTAINER_DOMAIN_NETWORK_VERBS_H_
#define SERVICES_CONTAINER_DOMAIN_NETWORK_VERBS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/container/domain/core.h"

// The use cases of networks. Those with a Done return at once and call it exactly once; it must not
// block. Errors are Docker's messages under the codes that network.proto promises. Thread-safe.
namespace slipway::container {

// create_network.cc. The id; done when it has been synced to disk and its host has made it.
void CreateNetwork(Core& core, VirtualNetwork network, Done<std::string> done);

// remove_network.cc
void RemoveNetwork(Core& core, const std::string& reference, DoneStatus done);
struct PruneNetworksCommand {
  std::vector<std::string> labels;
  std::vector<std::string> not_labels;
  int64_t until_unix_ns = 0;  // zero: whenever
};
// Names.
void PruneNetworks(Core& core, PruneNetworksCommand command, Done<std::vector<std::string>> done);

// connect_network.cc. To connect again what does not run changes what is named and keeps the rest.
// A network that is gone can be disconnected from what does not run, and by `force` from all.
void ConnectNetwork(Core& core, const std::string& network, const std::string& container,
                    Attachment attachment, DoneStatus done);
void DisconnectNetwork(Core& core, const std::string& network, const std::string& container,
                       bool force, DoneStatus done);

// The containers that are attached to a network, whether they run or not.
std::vector<ContainerPtr> ContainersOf(Core& core, const VirtualNetwork& network);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_NETWORK_VERBS_H_
