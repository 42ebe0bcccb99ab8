#include "runtime-agent/domain/network_files.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace slipway::agent {
namespace {

bool IsAddress(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") || address == "::1";
}

std::pair<std::string, std::string> SplitExtraHost(absl::string_view entry) {
  return absl::StrSplit(entry, absl::MaxSplits(':', 1));
}

}  // namespace

std::string HostsFile(const HostsRequest& request) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "ff00::0\tip6-mcastprefix\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  if (!request.host_text.empty()) {
    text = request.host_text;
    if (text.back() != '\n') text.push_back('\n');
  }
  for (const std::string& entry : request.extra_hosts) {
    auto [name, address] = SplitExtraHost(entry);
    if (address == "host-gateway") address = request.gateway;
    if (!address.empty()) absl::StrAppend(&text, address, "\t", name, "\n");
  }
  absl::StrAppend(&text, OwnHostLines(request.addresses, request.hostname, request.domainname));
  return text;
}

std::string OwnHostLines(const std::vector<std::string>& addresses, const std::string& hostname,
                         const std::string& domainname) {
  std::string text;
  if (hostname.empty()) return text;
  for (const std::string& address : addresses) {
    absl::StrAppend(&text, address, "\t");
    if (!domainname.empty()) absl::StrAppend(&text, hostname, ".", domainname, " ");
    absl::StrAppend(&text, hostname);
    // As Docker: of a name with dots the first part too.
    const size_t dot = hostname.find('.');
    if (dot != std::string::npos) absl::StrAppend(&text, " ", hostname.substr(0, dot));
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string WithoutHostLines(absl::string_view text, const std::vector<std::string>& addresses) {
  std::vector<absl::string_view> kept;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool gone = std::any_of(addresses.begin(), addresses.end(), [&](const auto& address) {
      return absl::StartsWith(line, absl::StrCat(address, "\t"));
    });
    if (!gone) kept.push_back(line);
  }
  return absl::StrJoin(kept, "\n");
}

std::string WithHostAddresses(absl::string_view text, const std::vector<std::string>& extra_hosts) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (const std::string& entry : extra_hosts) {
    const auto [names, address] = SplitExtraHost(entry);
    for (std::string& line : lines) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(line, absl::MaxSplits('\t', 1));
      if (parts.second == names) line = absl::StrCat(address, "\t", names);
    }
  }
  return absl::StrJoin(lines, "\n");
}

std::vector<std::string> AddressesOf(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> addresses;
  for (const Endpoint& endpoint : endpoints) {
    addresses.push_back(endpoint.address);
    if (!endpoint.address6.empty()) addresses.push_back(endpoint.address6);
  }
  return addresses;
}

absl::Status CheckExtraHost(absl::string_view entry) {
  const auto [name, address] = SplitExtraHost(entry);
  const bool clean = name.find_first_of(" \t\n#") == std::string::npos;
  if (name.empty() || !clean || (address != "host-gateway" && !IsAddress(address))) {
    return absl::InvalidArgumentError(absl::StrCat("bad format for add-host: \"", entry, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckLinkedHost(absl::string_view entry) {
  const auto [names, address] = SplitExtraHost(entry);
  const bool clean = names.find_first_of("\t\n#") == std::string::npos;
  if (names.empty() || !clean || !IsAddress(address)) {
    return absl::InvalidArgumentError(absl::StrCat("bad line of a link: \"", entry, "\""));
  }
  return absl::OkStatus();
}

std::vector<std::string> NameServersOf(absl::string_view text) {
  std::vector<std::string> servers;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() >= 2 && words[0] == "nameserver" && IsAddress(words[1])) {
      servers.push_back(words[1]);
    }
  }
  if (servers.empty()) servers = {"8.8.8.8", "8.8.4.4"};
  return servers;
}

std::string ResolvFile(absl::string_view host_text, const ResolvRequest& request) {
  std::vector<std::string> servers = request.servers;
  std::vector<std::string> search = request.search;
  std::vector<std::string> options = request.options;
  std::vector<std::string> host_search;
  for (absl::string_view line : absl::StrSplit(host_text, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    if (words[0] == "nameserver" && request.servers.empty()) {
      if (request.host_network || !IsLoopback(words[1])) servers.push_back(words[1]);
    } else if (words[0] == "search" || words[0] == "domain") {
      host_search.assign(words.begin() + 1, words.end());
    } else if (words[0] == "options" && request.options.empty()) {
      options.insert(options.end(), words.begin() + 1, words.end());
    }
  }
  if (search.empty()) search = host_search;
  if (search.size() == 1 && search[0] == ".") search.clear();
  if (servers.empty() && !request.host_network) servers = {"8.8.8.8", "8.8.4.4"};
  if (request.embedded) {
    servers = {"127.0.0.11"};
    // Every name may be one of the network's.
    const bool has_ndots = std::any_of(options.begin(), options.end(), [](const auto& option) {
      return absl::StartsWith(option, "ndots:");
    });
    if (!has_ndots) options.push_back("ndots:0");
  }
  std::string text;
  if (!search.empty()) absl::StrAppend(&text, "search ", absl::StrJoin(search, " "), "\n");
  for (const std::string& server : servers) absl::StrAppend(&text, "nameserver ", server, "\n");
  if (!options.empty()) absl::StrAppend(&text, "options ", absl::StrJoin(options, " "), "\n");
  return text;
}

}  // namespace slipway::agent
