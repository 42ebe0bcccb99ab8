#include "gateway/docker/network_json.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/docker/host_config_json.h"
#include "gateway/docker/json_build.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

std::string NetworkNameOf(const pb::Container& container) {
  const std::string mode = NetworkModeOf(container.spec());
  return mode == "default" ? "bridge" : mode;
}

json::object EndpointToJson(const pb::Endpoint& endpoint) {
  json::object out;
  out["IPAMConfig"] = nullptr;
  out["Links"] = nullptr;
  out["Aliases"] = nullptr;
  out["MacAddress"] = endpoint.mac_address();
  out["DriverOpts"] = nullptr;
  out["GwPriority"] = 0;
  const std::string id = endpoint.network_id();
  out["NetworkID"] = id.empty() ? NetworkIdOf(endpoint.network()) : id;
  out["EndpointID"] = endpoint.endpoint_id();
  out["Gateway"] = endpoint.gateway();
  out["IPAddress"] = endpoint.address();
  out["IPPrefixLen"] = endpoint.prefix_length();
  out["IPv6Gateway"] = "";
  out["GlobalIPv6Address"] = "";
  out["GlobalIPv6PrefixLen"] = 0;
  out["DNSNames"] = nullptr;
  return out;
}

// Bound ports first by number, then those only exposed, with null.
json::object Ports(const pb::Container& container) {
  std::map<std::pair<uint32_t, std::string>, json::array> bound;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    for (const pb::PortBinding& port : endpoint.ports()) {
      const std::string address = port.host_address().empty() ? "0.0.0.0" : port.host_address();
      bound[{port.container_port(), port.protocol()}].push_back(
          json::object{{"HostIp", address}, {"HostPort", absl::StrCat(port.host_port())}});
    }
  }
  json::object out;
  for (auto& [port, bindings] : bound) {
    out.emplace(absl::StrCat(port.first, "/", port.second), std::move(bindings));
  }
  for (const std::string& port : container.effective_config().exposed_ports()) {
    out.emplace(port, nullptr);
  }
  for (const std::string& port : container.spec().exposed_ports()) out.emplace(port, nullptr);
  return out;
}

}  // namespace

std::string NetworkIdOf(absl::string_view name) {
  // Fixed: these networks are part of every host and have no history.
  if (name == "bridge" || name == "default") {
    return "b71d9e00000000000000000000000000000000000000000000000000000b71d9";
  }
  if (name == "host") return "4057000000000000000000000000000000000000000000000000000000004057";
  if (name == "none") return "0e00000000000000000000000000000000000000000000000000000000000e00";
  return "";
}

json::object EndpointsToJson(const pb::Container& container) {
  json::object out;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    out.emplace(endpoint.network(), EndpointToJson(endpoint));
  }
  const std::string name = NetworkNameOf(container);
  if (out.empty() && name.rfind("container:", 0) != 0) {
    pb::Endpoint none;
    none.set_network(name);
    out.emplace(name, EndpointToJson(none));
  }
  return out;
}

json::object NetworkSettingsToJson(const pb::Container& container, ApiVersion version) {
  const bool running = container.state().status() == pb::CONTAINER_STATUS_RUNNING ||
                       container.state().status() == pb::CONTAINER_STATUS_PAUSED;
  static const auto& no_endpoint = *new pb::Endpoint();
  const pb::Endpoint* bridge = &no_endpoint;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    if (endpoint.network() == "bridge") bridge = &endpoint;
  }
  json::object out;
  out["Bridge"] = "";
  out["SandboxID"] = running ? container.sandbox_id() : "";
  out["SandboxKey"] = "";
  out["Ports"] = running ? Ports(container) : json::object();
  out["HairpinMode"] = false;
  out["LinkLocalIPv6Address"] = "";
  out["LinkLocalIPv6PrefixLen"] = 0;
  out["SecondaryIPAddresses"] = nullptr;
  out["SecondaryIPv6Addresses"] = nullptr;
  out["EndpointID"] = bridge->endpoint_id();
  out["Gateway"] = bridge->gateway();
  out["GlobalIPv6Address"] = "";
  out["GlobalIPv6PrefixLen"] = 0;
  out["IPAddress"] = bridge->address();
  out["IPPrefixLen"] = bridge->prefix_length();
  out["IPv6Gateway"] = "";
  out["MacAddress"] = bridge->mac_address();
  out["Networks"] = EndpointsToJson(container);
  (void)version;
  return out;
}

json::array PortSummaryToJson(const pb::Container& container) {
  json::array out;
  if (container.state().status() != pb::CONTAINER_STATUS_RUNNING) return out;
  std::set<std::string> bound;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    for (const pb::PortBinding& port : endpoint.ports()) {
      bound.insert(absl::StrCat(port.container_port(), "/", port.protocol()));
      out.push_back(
          json::object{{"IP", port.host_address().empty() ? "0.0.0.0" : port.host_address()},
                       {"PrivatePort", port.container_port()},
                       {"PublicPort", port.host_port()},
                       {"Type", port.protocol()}});
    }
  }
  for (const auto* list :
       {&container.effective_config().exposed_ports(), &container.spec().exposed_ports()}) {
    for (const std::string& exposed : *list) {
      if (!bound.insert(exposed).second) continue;
      const size_t slash = exposed.find('/');
      out.push_back(
          json::object{{"PrivatePort", std::strtol(exposed.c_str(), nullptr, 10)},
                       {"Type", slash == std::string::npos ? "tcp" : exposed.substr(slash + 1)}});
    }
  }
  return out;
}

json::object NetworkToJson(absl::string_view name, const pb::ListContainersResponse& containers) {
  const std::string fallback_id = NetworkIdOf(name);
  if (fallback_id.empty()) return {};
  json::object members;
  json::array ipam;
  for (const pb::Container& container : containers.containers()) {
    for (const pb::Endpoint& endpoint : container.endpoints()) {
      if (endpoint.network() != name) continue;
      const std::string address =
          endpoint.address().empty()
              ? ""
              : absl::StrCat(endpoint.address(), "/", endpoint.prefix_length());
      members[container.id()] = json::object{{"Name", container.name()},
                                             {"EndpointID", endpoint.endpoint_id()},
                                             {"MacAddress", endpoint.mac_address()},
                                             {"IPv4Address", address},
                                             {"IPv6Address", ""}};
      if (ipam.empty() && !endpoint.gateway().empty()) {
        ipam.push_back(json::object{{"Gateway", endpoint.gateway()}});
      }
    }
  }
  json::object out;
  out["Name"] = std::string(name);
  out["Id"] = fallback_id;
  out["Created"] = "0001-01-01T00:00:00Z";
  out["Scope"] = "local";
  out["Driver"] = name == "none" ? "null" : std::string(name);
  out["EnableIPv4"] = true;
  out["EnableIPv6"] = false;
  out["IPAM"] =
      json::object{{"Driver", "default"}, {"Options", nullptr}, {"Config", std::move(ipam)}};
  out["Internal"] = false;
  out["Attachable"] = false;
  out["Ingress"] = false;
  out["ConfigFrom"] = json::object{{"Network", ""}};
  out["ConfigOnly"] = false;
  out["Containers"] = std::move(members);
  out["Options"] = json::object();
  out["Labels"] = json::object();
  return out;
}

}  // namespace slipway::gateway
