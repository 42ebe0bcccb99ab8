#include "gateway/docker/network_json.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/docker/host_config_json.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

constexpr size_t kShortIdLength = 12;

bool HasProcess(const pb::Container& container) {
  return container.state().status() == pb::CONTAINER_STATUS_RUNNING ||
         container.state().status() == pb::CONTAINER_STATUS_PAUSED;
}

std::string NetworkNameOf(const pb::Container& container) {
  const std::string mode = NetworkModeOf(container.spec());
  return mode == "default" ? "bridge" : mode;
}

template <typename List>
json::value ListOrNull(const List& list) {
  if (list.empty()) return nullptr;
  return StringArray(list);
}

json::value IpamConfig(const pb::Attachment& attachment) {
  json::object config;
  if (!attachment.address().empty()) config["IPv4Address"] = attachment.address();
  if (!attachment.address6().empty()) config["IPv6Address"] = attachment.address6();
  if (config.empty()) return nullptr;
  return config;
}

// What others in the network find it by.
json::value DnsNames(const pb::Container& container, const pb::Attachment& attachment) {
  if (attachment.network() == NetworkIdOf("bridge") || attachment.network().empty()) return nullptr;
  std::vector<std::string> names = {container.name()};
  names.insert(names.end(), attachment.aliases().begin(), attachment.aliases().end());
  names.push_back(container.id().substr(0, kShortIdLength));
  if (!container.spec().hostname().empty()) names.push_back(container.spec().hostname());
  json::array list;
  for (const std::string& name : names) {
    if (std::find(list.begin(), list.end(), json::value(name)) == list.end()) {
      list.emplace_back(name);
    }
  }
  return list;
}

json::value Aliases(const pb::Container& container, const pb::Attachment& attachment,
                    ApiVersion version) {
  json::array list = StringArray(attachment.aliases());
  // Later versions have it in DNSNames only.
  const bool in_own_network =
      !attachment.network().empty() && attachment.network() != NetworkIdOf("bridge");
  const std::string short_id = container.id().substr(0, kShortIdLength);
  // docker-compose gives it, too.
  if (version < ApiVersion{1, 45} && in_own_network &&
      std::find(list.begin(), list.end(), json::value(short_id)) == list.end()) {
    list.emplace_back(short_id);
  }
  if (list.empty()) return nullptr;
  return list;
}

json::object EndpointToJson(const pb::Container& container, const pb::Attachment& attachment,
                            const pb::Endpoint& endpoint, ApiVersion version) {
  json::object out;
  out["IPAMConfig"] = IpamConfig(attachment);
  out["Links"] = ListOrNull(attachment.links());
  out["Aliases"] = Aliases(container, attachment, version);
  out["MacAddress"] = endpoint.mac_address();
  out["DriverOpts"] = attachment.driver_options().empty()
                          ? json::value(nullptr)
                          : json::value(StringMap(attachment.driver_options()));
  out["GwPriority"] = attachment.gateway_priority();
  std::string id = endpoint.network_id();
  if (id.empty()) id = attachment.network();
  out["NetworkID"] = id.empty() ? NetworkIdOf(endpoint.network()) : id;
  out["EndpointID"] = endpoint.endpoint_id();
  out["Gateway"] = endpoint.gateway();
  out["IPAddress"] = endpoint.address();
  out["IPPrefixLen"] = endpoint.prefix_length();
  out["IPv6Gateway"] = endpoint.gateway6();
  out["GlobalIPv6Address"] = endpoint.address6();
  out["GlobalIPv6PrefixLen"] = endpoint.prefix_length6();
  out["DNSNames"] = DnsNames(container, attachment);
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

json::object EndpointsToJson(const pb::Container& container, ApiVersion version) {
  json::object out;
  const auto endpoint_of = [&container](const pb::Attachment& attachment) {
    for (const pb::Endpoint& endpoint : container.endpoints()) {
      if (endpoint.network_id() == attachment.network() ||
          endpoint.network() == attachment.network_name()) {
        return endpoint;
      }
    }
    return pb::Endpoint();
  };
  for (const pb::Attachment& attachment : container.spec().network().attachments()) {
    out.emplace(attachment.network_name(),
                EndpointToJson(container, attachment, endpoint_of(attachment), version));
  }
  if (container.spec().network().attachments_are_all()) return out;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    out.emplace(endpoint.network(), EndpointToJson(container, pb::Attachment(), endpoint, version));
  }
  const std::string name = NetworkNameOf(container);
  if (out.empty() && name.rfind("container:", 0) != 0) {
    pb::Endpoint none;
    none.set_network(name);
    out.emplace(name, EndpointToJson(container, pb::Attachment(), none, version));
  }
  return out;
}

json::object NetworkSettingsToJson(const pb::Container& container, ApiVersion version) {
  const bool running = HasProcess(container);
  static const auto& no_endpoint = *new pb::Endpoint();
  const pb::Endpoint* bridge = &no_endpoint;
  for (const pb::Endpoint& endpoint : container.endpoints()) {
    if (endpoint.network() == "bridge") bridge = &endpoint;
  }
  json::object out;
  out["Bridge"] = "";
  out["SandboxID"] = running ? container.sandbox_id() : "";
  // For nsenter --net.
  out["SandboxKey"] =
      running ? absl::StrCat("/proc/", container.state().pid(), "/ns/net") : std::string();
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
  out["Networks"] = EndpointsToJson(container, version);
  return out;
}

json::array PortSummaryToJson(const pb::Container& container) {
  json::array out;
  if (!HasProcess(container)) return out;
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

namespace {

json::object Members(const pb::VirtualNetwork& network,
                     const google::protobuf::RepeatedPtrField<pb::Container>& containers) {
  const auto with_prefix = [](const std::string& address, uint32_t prefix_length) {
    return address.empty() ? "" : absl::StrCat(address, "/", prefix_length);
  };
  json::object members;
  for (const pb::Container& container : containers) {
    for (const pb::Endpoint& endpoint : container.endpoints()) {
      if (endpoint.network_id() != network.id() && endpoint.network() != network.name()) continue;
      members[container.id()] = json::object{
          {"Name", container.name()},
          {"EndpointID", endpoint.endpoint_id()},
          {"MacAddress", endpoint.mac_address()},
          {"IPv4Address", with_prefix(endpoint.address(), endpoint.prefix_length())},
          {"IPv6Address", with_prefix(endpoint.address6(), endpoint.prefix_length6())}};
    }
  }
  return members;
}

json::array IpamConfigs(const pb::VirtualNetwork& network) {
  json::array configs;
  for (const pb::Subnet& subnet : network.subnets()) {
    json::object config{{"Subnet", subnet.subnet()}};
    if (!subnet.ip_range().empty()) config["IPRange"] = subnet.ip_range();
    if (!subnet.gateway().empty()) config["Gateway"] = subnet.gateway();
    if (!subnet.auxiliary_addresses().empty()) {
      config["AuxiliaryAddresses"] = StringMap(subnet.auxiliary_addresses());
    }
    configs.push_back(std::move(config));
  }
  return configs;
}

}  // namespace

json::object NetworkToJson(const pb::VirtualNetwork& network,
                           const google::protobuf::RepeatedPtrField<pb::Container>& containers) {
  json::object out;
  out["Name"] = network.name();
  out["Id"] = network.id();
  out["Created"] = Rfc3339Nano(network.created_unix_ns());
  out["Scope"] = "local";
  out["Driver"] = network.driver();
  out["EnableIPv4"] = true;
  out["EnableIPv6"] = network.enable_ipv6();
  out["IPAM"] =
      json::object{{"Driver", network.ipam_driver().empty() ? "default" : network.ipam_driver()},
                   {"Options", network.builtin() ? json::value(nullptr)
                                                 : json::value(StringMap(network.ipam_options()))},
                   {"Config", IpamConfigs(network)}};
  out["Internal"] = network.internal();
  out["Attachable"] = network.attachable();
  out["Ingress"] = false;
  out["ConfigFrom"] = json::object{{"Network", ""}};
  out["ConfigOnly"] = false;
  out["Containers"] = Members(network, containers);
  out["Options"] = StringMap(network.options());
  out["Labels"] = StringMap(network.labels());
  return out;
}

}  // namespace slipway::gateway
