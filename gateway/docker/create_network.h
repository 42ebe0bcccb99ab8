#ifndef GATEWAY_DOCKER_CREATE_NETWORK_H_
#define GATEWAY_DOCKER_CREATE_NETWORK_H_

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "slipway/container/v1/network.pb.h"

// Bodies of requests about networks (Engine API 1.51). InvalidArgument for what has the wrong type;
// Unimplemented, naming the option, for one that is not offered. Pure.
namespace slipway::gateway {

// NetworkCreate.
absl::StatusOr<slipway::container::v1::VirtualNetwork> NetworkFromJson(
    const boost::json::value& body);
// NetworkConnect, NetworkDisconnect; without the network.
absl::StatusOr<slipway::container::v1::ConnectNetworkRequest> ConnectFromJson(
    const boost::json::value& body);
absl::StatusOr<slipway::container::v1::DisconnectNetworkRequest> DisconnectFromJson(
    const boost::json::value& body);

// EndpointSettings, of a create or a connect. `where` names the object in errors.
absl::StatusOr<slipway::container::v1::Attachment> AttachmentFromJson(
    const boost::json::object& object, absl::string_view where);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CREATE_NETWORK_H_
