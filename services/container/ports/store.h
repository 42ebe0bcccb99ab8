#ifndef SERVICES_CONTAINER_PORTS_STORE_H_
#define SERVICES_CONTAINER_PORTS_STORE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/container/model/container.h"
#include "services/container/model/event.h"
#include "services/container/model/network.h"
#include "services/container/model/volume.h"

// What survives this process. Implementations are thread-safe, and write concurrent batches
// together.
namespace slipway::container {

// All of it is kept, or none.
struct StoreBatch {
  std::shared_ptr<const Definition> put_definition;
  ContainerPtr put_container;  // the changing part only
  std::string delete_container;
  std::string put_intent;  // the id of a container that is about to be created
  std::string delete_intent;
  NetworkPtr put_network;
  std::string delete_network;
  VolumePtr put_volume;
  std::string delete_volume;
  std::vector<EventPtr> events;
  uint64_t delete_event = 0;  // first and last sequence that are not kept any more; zero: none
  uint64_t delete_event_last = 0;
  std::string agent_host;  // empty: agent_sequence is not written
  uint64_t agent_sequence = 0;
};

struct StoreContents {
  std::vector<Container> containers;
  std::vector<std::string> intents;
  std::vector<NetworkPtr> networks;
  std::vector<VolumePtr> volumes;
  std::vector<EventPtr> events;  // ascending
  std::vector<std::pair<std::string, uint64_t>> agent_sequences;
};

enum class Durability {
  // Survives the death of this process at once, and a power cut a moment later.
  kSoon,
  // Survives a power cut when the call returns.
  kSynced,
};

class Store {
 public:
  virtual ~Store() = default;
  virtual absl::StatusOr<StoreContents> Load() = 0;
  virtual absl::Status Write(const StoreBatch& batch, Durability durability) = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_STORE_H_
