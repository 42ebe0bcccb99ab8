#include "gateway/docker/create_network.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/docker/json_fields.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

template <typename Map>
void PutAll(const std::map<std::string, std::string>& from, Map* to) {
  for (const auto& [key, value] : from) (*to)[key] = value;
}

template <typename List>
void AddAll(std::vector<std::string> values, List* list) {
  for (std::string& value : values) *list->Add() = std::move(value);
}

absl::StatusOr<const json::object*> ObjectOf(const json::value& body) {
  if (const json::object* object = body.if_object()) return object;
  return absl::InvalidArgumentError("invalid JSON: the body must be an object");
}

absl::Status ReadIpam(JsonFields& fields, pb::VirtualNetwork& network) {
  const json::object* object = fields.Object("IPAM");
  if (object == nullptr) return fields.status();
  JsonFields ipam(*object, "IPAM");
  network.set_ipam_driver(ipam.String("Driver"));
  PutAll(ipam.StringMap("Options"), network.mutable_ipam_options());
  const json::array* configs = ipam.Array("Config");
  if (configs == nullptr) return ipam.status();
  for (const json::value& item : *configs) {
    const json::object* config = item.if_object();
    if (config == nullptr) {
      return absl::InvalidArgumentError("invalid JSON: IPAM.Config must be a list of objects");
    }
    JsonFields of(*config, "IPAM.Config");
    pb::Subnet& subnet = *network.add_subnets();
    subnet.set_subnet(of.String("Subnet"));
    subnet.set_gateway(of.String("Gateway"));
    subnet.set_ip_range(of.String("IPRange"));
    // As clients up to 1.51 call it, and as its name is in Go.
    PutAll(of.StringMap("AuxiliaryAddresses"), subnet.mutable_auxiliary_addresses());
    PutAll(of.StringMap("AuxAddress"), subnet.mutable_auxiliary_addresses());
    RETURN_IF_ERROR(of.status());
  }
  return ipam.status();
}

}  // namespace

absl::StatusOr<pb::VirtualNetwork> NetworkFromJson(const json::value& body) {
  ASSIGN_OR_RETURN(const json::object* object, ObjectOf(body));
  JsonFields fields(*object, "");
  pb::VirtualNetwork network;
  network.set_name(fields.String("Name"));
  network.set_driver(fields.String("Driver"));
  network.set_internal(fields.Bool("Internal"));
  network.set_attachable(fields.Bool("Attachable"));
  network.set_enable_ipv6(fields.Bool("EnableIPv6"));
  PutAll(fields.StringMap("Options"), network.mutable_options());
  PutAll(fields.StringMap("Labels"), network.mutable_labels());
  fields.Bool("CheckDuplicate");  // a name is never taken twice
  for (const char* option : {"Ingress", "ConfigOnly", "ConfigFrom"}) fields.Refuse(option);
  const std::string scope = fields.String("Scope");
  if (!scope.empty() && scope != "local") fields.Refuse("Scope");
  const json::value* ipv4 = fields.Find("EnableIPv4");
  if (ipv4 != nullptr && ipv4->is_bool() && !ipv4->get_bool()) {
    return absl::UnimplementedError("option EnableIPv4 = false is not supported");
  }
  RETURN_IF_ERROR(ReadIpam(fields, network));
  RETURN_IF_ERROR(fields.status());
  return network;
}

absl::StatusOr<pb::Attachment> AttachmentFromJson(const json::object& object,
                                                  absl::string_view where) {
  JsonFields fields(object, where);
  pb::Attachment attachment;
  AddAll(fields.Strings("Aliases"), attachment.mutable_aliases());
  AddAll(fields.Strings("Links"), attachment.mutable_links());
  attachment.set_mac_address(fields.String("MacAddress"));
  PutAll(fields.StringMap("DriverOpts"), attachment.mutable_driver_options());
  const int64_t priority = fields.Int("GwPriority");
  if (priority < std::numeric_limits<int32_t>::min() ||
      priority > std::numeric_limits<int32_t>::max()) {
    fields.Fail("GwPriority", absl::StrCat(priority, " is out of range"));
  }
  attachment.set_gateway_priority(static_cast<int32_t>(priority));
  if (const json::object* ipam = fields.Object("IPAMConfig")) {
    JsonFields addresses(*ipam, fields.PathOf("IPAMConfig"));
    attachment.set_address(addresses.String("IPv4Address"));
    attachment.set_address6(addresses.String("IPv6Address"));
    if (!addresses.Strings("LinkLocalIPs").empty()) addresses.Refuse("LinkLocalIPs");
    RETURN_IF_ERROR(addresses.status());
  }
  RETURN_IF_ERROR(fields.status());
  return attachment;
}

absl::StatusOr<pb::ConnectNetworkRequest> ConnectFromJson(const json::value& body) {
  ASSIGN_OR_RETURN(const json::object* object, ObjectOf(body));
  JsonFields fields(*object, "");
  pb::ConnectNetworkRequest connect;
  connect.set_container(fields.String("Container"));
  if (const json::object* config = fields.Object("EndpointConfig")) {
    ASSIGN_OR_RETURN(*connect.mutable_attachment(), AttachmentFromJson(*config, "EndpointConfig"));
  }
  RETURN_IF_ERROR(fields.status());
  return connect;
}

absl::StatusOr<pb::DisconnectNetworkRequest> DisconnectFromJson(const json::value& body) {
  ASSIGN_OR_RETURN(const json::object* object, ObjectOf(body));
  JsonFields fields(*object, "");
  pb::DisconnectNetworkRequest disconnect;
  disconnect.set_container(fields.String("Container"));
  disconnect.set_force(fields.Bool("Force"));
  RETURN_IF_ERROR(fields.status());
  return disconnect;
}

}  // namespace slipway::gateway
