#ifndef RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_
#define RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The texts of /etc/hosts and /etc/resolv.conf as Docker writes them. Thread-safe.
namespace slipway::agent {

struct HostsRequest {
  std::string address;  // of the container; empty: none
  std::string hostname;
  std::string domainname;
  std::vector<std::string> extra_hosts;  // "name:address"; the address may be "host-gateway"
  std::string gateway;                   // what "host-gateway" means
  std::string host_text;                 // the host's own file, where its network is shared
};

std::string HostsFile(const HostsRequest& request);

// InvalidArgument: no colon, or an address that is none.
absl::Status CheckExtraHost(absl::string_view entry);

struct ResolvRequest {
  std::vector<std::string> servers;  // replace the host's
  std::vector<std::string> search;   // replace the host's; "." alone: none
  std::vector<std::string> options;  // replace the host's
  // The container shares the host's network: loopback name servers work there.
  bool host_network = false;
};

// `host_text` is the host's own file. Name servers on loopback addresses are left out; where none
// remains, Google's public ones are used, as Docker does.
std::string ResolvFile(absl::string_view host_text, const ResolvRequest& request);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_
