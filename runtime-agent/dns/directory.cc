#include "runtime-agent/dns/directory.h"

#include <algorithm>

namespace slipway::dns {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

void Directory::Put(const EndpointRecord& endpoint) {
  Remove(endpoint.network_id, endpoint.container_id);
  Network& network = networks_[endpoint.network_id];
  network.name = Lower(endpoint.network_name);
  for (const std::string& name : endpoint.names) {
    network.names[Lower(name)].insert(endpoint.container_id);
  }
  for (const std::string& address : {endpoint.address, endpoint.address6}) {
    if (!address.empty()) network.addresses[address] = endpoint.container_id;
  }
  network.endpoints[endpoint.container_id] = endpoint;
}

void Directory::Remove(const std::string& network_id, const std::string& container_id) {
  const auto found = networks_.find(network_id);
  if (found == networks_.end()) return;
  Network& network = found->second;
  const auto endpoint = network.endpoints.find(container_id);
  if (endpoint == network.endpoints.end()) return;
  for (const std::string& name : endpoint->second.names) {
    const auto holders = network.names.find(Lower(name));
    if (holders == network.names.end()) continue;
    holders->second.erase(container_id);
    if (holders->second.empty()) network.names.erase(holders);
  }
  for (const std::string& address : {endpoint->second.address, endpoint->second.address6}) {
    const auto holder = network.addresses.find(address);
    if (holder != network.addresses.end() && holder->second == container_id) {
      network.addresses.erase(holder);
    }
  }
  network.endpoints.erase(endpoint);
  if (network.endpoints.empty()) networks_.erase(found);
}

void Directory::Append(const EndpointRecord& endpoint, uint16_t type, Result& result) const {
  result.known = true;
  if ((type == kTypeA || type == kTypeAny) && !endpoint.address.empty()) {
    result.records.push_back({kTypeA, endpoint.address});
  }
  if ((type == kTypeAaaa || type == kTypeAny) && !endpoint.address6.empty()) {
    result.records.push_back({kTypeAaaa, endpoint.address6});
  }
}

void Directory::FindIn(const Network& network, std::string_view name, uint16_t type,
                       Result& result) const {
  const auto holders = network.names.find(std::string(name));
  if (holders == network.names.end()) return;
  for (const std::string& container : holders->second) {
    const auto endpoint = network.endpoints.find(container);
    if (endpoint != network.endpoints.end()) Append(endpoint->second, type, result);
  }
}

void Directory::FindReverse(const SandboxRecord& sandbox, const std::string& address,
                            Result& result) const {
  for (const std::string& id : sandbox.network_ids) {
    const auto network = networks_.find(id);
    if (network == networks_.end()) continue;
    const auto holder = network->second.addresses.find(address);
    if (holder == network->second.addresses.end()) continue;
    const EndpointRecord& endpoint = network->second.endpoints.at(holder->second);
    if (endpoint.names.empty()) continue;
    // As Docker has it: "<container>.<network>".
    std::string name = EncodeName(endpoint.names.front() + "." + endpoint.network_name);
    if (name.empty()) name = EncodeName(endpoint.names.front());
    if (name.empty()) continue;
    result.known = true;
    result.records.push_back({kTypePtr, std::move(name)});
  }
}

Directory::Result Directory::Find(const SandboxRecord& sandbox, std::string_view name,
                                  uint16_t type) {
  Result result;
  if (const auto address = AddressOfReverseName(name); address.has_value()) {
    FindReverse(sandbox, *address, result);
    if (type != kTypePtr && type != kTypeAny) result.records.clear();
    return result;
  }
  const auto link = sandbox.links.find(std::string(name));
  for (const std::string& id : sandbox.network_ids) {
    const auto found = networks_.find(id);
    if (found == networks_.end()) continue;
    const Network& network = found->second;
    if (link != sandbox.links.end()) {
      const auto endpoint = network.endpoints.find(link->second);
      if (endpoint != network.endpoints.end()) Append(endpoint->second, type, result);
      continue;
    }
    FindIn(network, name, type, result);
    // "<container>.<network>"
    std::string_view prefix = name;
    if (prefix.size() > network.name.size() + 1 && prefix.ends_with(network.name) &&
        prefix[prefix.size() - network.name.size() - 1] == '.') {
      prefix.remove_suffix(network.name.size() + 1);
      FindIn(network, prefix, type, result);
    }
  }
  if (result.records.size() > 1) {
    const size_t first = turn_++ % result.records.size();
    std::rotate(result.records.begin(), result.records.begin() + static_cast<long>(first),
                result.records.end());
  }
  return result;
}

}  // namespace slipway::dns
