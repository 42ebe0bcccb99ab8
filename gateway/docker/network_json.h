#ifndef GATEWAY_DOCKER_NETWORK_JSON_H_
#define GATEWAY_DOCKER_NETWORK_JSON_H_

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/docker/api_version.h"
#include "slipway/container/v1/network.pb.h"

// What containers say of their networks, and the three networks that every host has. Pure.
namespace slipway::gateway {

// ContainerInspect's NetworkSettings.
boost::json::object NetworkSettingsToJson(const slipway::container::v1::Container& container,
                                          ApiVersion version);

// {"bridge": {...}}: the endpoints by their network's name.
boost::json::object EndpointsToJson(const slipway::container::v1::Container& container,
                                    ApiVersion version);

// ContainerList's Ports.
boost::json::array PortSummaryToJson(const slipway::container::v1::Container& container);

// The id of "bridge", "host" or "none"; empty for another name.
std::string NetworkIdOf(absl::string_view name);

// NetworkInspect's answer, with what runs in it.
boost::json::object NetworkToJson(
    const slipway::container::v1::VirtualNetwork& network,
    const google::protobuf::RepeatedPtrField<slipway::container::v1::Container>& containers);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_NETWORK_JSON_H_
