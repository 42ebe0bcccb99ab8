#include "services/container/domain/network_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::container {
namespace {

NetworkPtr Builtin(const char* id, const char* name, const char* driver) {
  auto network = std::make_shared<VirtualNetwork>();
  network->id = id;
  network->name = name;
  network->driver = driver;
  network->builtin = true;
  return network;
}

}  // namespace

std::string BridgeNameOf(const VirtualNetwork& network) {
  const auto found = network.options.find("com.docker.network.bridge.name");
  return network.driver != "bridge" || found == network.options.end() ? "" : found->second;
}

NetworkTable::NetworkTable() {
  for (NetworkPtr builtin :
       {Builtin(kBridgeNetworkId, "bridge", "bridge"), Builtin(kHostNetworkId, "host", "host"),
        Builtin(kNoneNetworkId, "none", "null")}) {
    Add(std::move(builtin));
  }
}

absl::StatusOr<NetworkPtr> NetworkTable::Find(absl::string_view reference) const {
  const absl::Status missing =
      absl::NotFoundError(absl::StrCat("network ", reference.substr(0, 300), " not found"));
  if (reference.empty()) return missing;
  absl::MutexLock lock(&mu_);
  NetworkPtr by_prefix;
  int prefixed = 0;
  NetworkPtr by_name;
  for (const auto& [id, row] : rows_) {
    if (!row.published) continue;
    if (id == reference) return row.network;
    if (row.network->name == reference) by_name = row.network;
    if (absl::StartsWith(id, reference)) {
      by_prefix = row.network;
      ++prefixed;
    }
  }
  if (by_name != nullptr) return by_name;
  if (prefixed > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("network ", reference, " is ambiguous (", prefixed, " matches found)"));
  }
  if (by_prefix == nullptr) return missing;
  return by_prefix;
}

bool NetworkTable::Knows(absl::string_view id) const {
  absl::MutexLock lock(&mu_);
  return rows_.contains(std::string(id));
}

NetworkPtr NetworkTable::FindById(absl::string_view id) const {
  absl::MutexLock lock(&mu_);
  const auto found = rows_.find(std::string(id));
  return found == rows_.end() || !found->second.published ? nullptr : found->second.network;
}

std::vector<NetworkPtr> NetworkTable::All() const {
  std::vector<NetworkPtr> all;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [id, row] : rows_) {
      if (row.published) all.push_back(row.network);
    }
  }
  std::sort(all.begin(), all.end(), [](const NetworkPtr& a, const NetworkPtr& b) {
    return std::tie(a->created_unix_ns, a->name) < std::tie(b->created_unix_ns, b->name);
  });
  return all;
}

absl::Status NetworkTable::Claim(NetworkPtr network) {
  const std::vector<AddressBlock> wanted = BlocksOf(*network);
  const std::string bridge = BridgeNameOf(*network);
  absl::MutexLock lock(&mu_);
  for (const auto& [id, row] : rows_) {
    if (row.network->name == network->name) {
      return absl::AlreadyExistsError(
          absl::StrCat("network with name ", network->name, " already exists"));
    }
  }
  for (const auto& [id, row] : rows_) {
    if (bridge.empty() || BridgeNameOf(*row.network) != bridge) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot create network ", network->id, " (", bridge, "): conflicts with network ", id, " (",
        bridge, "): networks have same bridge name"));
  }
  for (const auto& [id, row] : rows_) {
    for (const AddressBlock& theirs : BlocksOf(*row.network)) {
      for (const AddressBlock& ours : wanted) {
        if (!ours.Overlaps(theirs)) continue;
        return absl::PermissionDeniedError("Pool overlaps with other one on this address space");
      }
    }
  }
  const std::string id = network->id;
  rows_[id] = Row{.network = std::move(network)};
  return absl::OkStatus();
}

std::vector<AddressBlock> NetworkTable::TakenBlocks() const {
  absl::MutexLock lock(&mu_);
  std::vector<AddressBlock> taken;
  for (const auto& [id, row] : rows_) {
    const std::vector<AddressBlock> blocks = BlocksOf(*row.network);
    taken.insert(taken.end(), blocks.begin(), blocks.end());
  }
  return taken;
}

void NetworkTable::Add(NetworkPtr network) {
  const std::string id = network->id;
  absl::MutexLock lock(&mu_);
  rows_[id] = Row{.network = std::move(network), .published = true};
}

void NetworkTable::Erase(const std::string& id) {
  absl::MutexLock lock(&mu_);
  rows_.erase(id);
}

void NetworkTable::SetBridge(const std::string& subnet, const std::string& gateway) {
  absl::MutexLock lock(&mu_);
  Row& row = rows_[kBridgeNetworkId];
  auto network = std::make_shared<VirtualNetwork>(*row.network);
  network->subnets.clear();
  if (!subnet.empty()) network->subnets.push_back({.subnet = subnet, .gateway = gateway});
  row.network = std::move(network);
}

}  // namespace slipway::container
