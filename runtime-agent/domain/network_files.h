#ifndef RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_
#define RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/network/network_driver.h"

// The texts of /etc/hosts and /etc/resolv.conf as Docker writes them. Thread-safe.
namespace slipway::agent {

struct HostsRequest {
  std::vector<std::string> addresses;  // of the container
  std::string hostname;
  std::string domainname;
  std::vector<std::string> extra_hosts;  // "name:address"; the address may be "host-gateway"
  std::string gateway;                   // what "host-gateway" means
  std::string host_text;                 // the host's own file, where its network is shared
};

std::string HostsFile(const HostsRequest& request);

// The lines by which a container finds itself, and a file without those of some addresses.
std::string OwnHostLines(const std::vector<std::string>& addresses, const std::string& hostname,
                         const std::string& domainname);
std::string WithoutHostLines(absl::string_view text, const std::vector<std::string>& addresses);
// A file in which the lines of these names ("name name:address", as extra hosts) have these
// addresses; names that no line has are not added.
std::string WithHostAddresses(absl::string_view text, const std::vector<std::string>& extra_hosts);
std::vector<std::string> AddressesOf(const std::vector<Endpoint>& endpoints);

// InvalidArgument: no colon, or an address that is none.
absl::Status CheckExtraHost(absl::string_view entry);
// The same of a link's, which may have several names apart by spaces.
absl::Status CheckLinkedHost(absl::string_view entry);

struct ResolvRequest {
  std::vector<std::string> servers;  // replace the host's
  std::vector<std::string> search;   // replace the host's; "." alone: none
  std::vector<std::string> options;  // replace the host's
  // The container shares the host's network: loopback name servers work there.
  bool host_network = false;
  // The one at 127.0.0.11 answers, and asks the others itself.
  bool embedded = false;
};

// The name servers of a resolv.conf, loopback ones included; Google's where it names none.
std::vector<std::string> NameServersOf(absl::string_view text);

// `host_text` is the host's own file. Name servers on loopback addresses are left out; where none
// remains, Google's public ones are used, as Docker does.
std::string ResolvFile(absl::string_view host_text, const ResolvRequest& request);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_NETWORK_FILES_H_
