#ifndef RUNTIME_AGENT_DNS_DIRECTORY_H_
#define RUNTIME_AGENT_DNS_DIRECTORY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime-agent/dns/control.h"
#include "runtime-agent/dns/message.h"

namespace slipway::dns {

// Who is called what in which network, as the agent tells it. Not thread-safe.
class Directory {
 public:
  void Put(const EndpointRecord& endpoint);
  void Remove(const std::string& network_id, const std::string& container_id);

  struct Result {
    bool known = false;           // whether the name is one of ours, be it without such records
    std::vector<Record> records;  // of the type that was asked for
  };
  // `name` in lower case, as a sandbox that is in these networks sees it; `links` are names of its
  // own for containers. Of several addresses another is the first each time.
  Result Find(const SandboxRecord& sandbox, std::string_view name, uint16_t type);

 private:
  struct Network {
    std::string name;
    std::map<std::string, EndpointRecord> endpoints;  // by container
    // By lower-case name: the containers that have it.
    std::unordered_map<std::string, std::set<std::string>> names;
    std::unordered_map<std::string, std::string> addresses;  // bytes of an address → container
  };

  void FindIn(const Network& network, std::string_view name, uint16_t type, Result& result) const;
  void Append(const EndpointRecord& endpoint, uint16_t type, Result& result) const;
  void FindReverse(const SandboxRecord& sandbox, const std::string& address, Result& result) const;

  std::unordered_map<std::string, Network> networks_;  // by id
  uint32_t turn_ = 0;
};

}  // namespace slipway::dns

#endif  // RUNTIME_AGENT_DNS_DIRECTORY_H_
