#ifndef SERVICES_CONTAINER_DOMAIN_NETWORK_TABLE_H_
#define SERVICES_CONTAINER_DOMAIN_NETWORK_TABLE_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/network_addresses.h"
#include "services/container/model/network.h"

namespace slipway::container {

// What the client called the network's bridge; empty: nothing.
std::string BridgeNameOf(const VirtualNetwork& network);

// All networks by id, name and id prefix, with those that every host has. Thread-safe; no call
// blocks.
class NetworkTable {
 public:
  NetworkTable();

  // By full id, name, then unique prefix of an id. NOT_FOUND in Docker's words.
  absl::StatusOr<NetworkPtr> Find(absl::string_view reference) const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether it is there, or is being made.
  bool Knows(absl::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);
  NetworkPtr FindById(absl::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);
  // The oldest first; those of every host before them.
  std::vector<NetworkPtr> All() const ABSL_LOCKS_EXCLUDED(mu_);

  // Takes names and addresses for a network that is being made; nobody finds it before Add().
  // ALREADY_EXISTS for the name, FAILED_PRECONDITION for the bridge's name, PERMISSION_DENIED for
  // addresses that another network has.
  absl::Status Claim(NetworkPtr network) ABSL_LOCKS_EXCLUDED(mu_);
  // What all networks have, and those that are being made.
  std::vector<AddressBlock> TakenBlocks() const ABSL_LOCKS_EXCLUDED(mu_);
  void Add(NetworkPtr network) ABSL_LOCKS_EXCLUDED(mu_);
  void Erase(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);

  // What the host says of its default bridge.
  void SetBridge(const std::string& subnet, const std::string& gateway) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Row {
    NetworkPtr network;
    bool published = false;
  };

  mutable absl::Mutex mu_;
  absl::btree_map<std::string, Row> rows_ ABSL_GUARDED_BY(mu_);  // by id
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_NETWORK_TABLE_H_
