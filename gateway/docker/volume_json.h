#ifndef GATEWAY_DOCKER_VOLUME_JSON_H_
#define GATEWAY_DOCKER_VOLUME_JSON_H_

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "slipway/container/v1/volume.pb.h"

// Docker's volumes. Pure.
namespace slipway::gateway {

// VolumeCreate's body; InvalidArgument names the member.
absl::StatusOr<slipway::container::v1::CreateVolumeRequest> VolumeFromJson(
    const boost::json::value& body);

// VolumeInspect's answer.
boost::json::object VolumeToJson(const slipway::container::v1::Volume& volume);

// The same with UsageData, for SystemDataUsage.
boost::json::object VolumeUsageToJson(const slipway::container::v1::Volume& volume);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_VOLUME_JSON_H_
