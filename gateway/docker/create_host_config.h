#ifndef GATEWAY_DOCKER_CREATE_HOST_CONFIG_H_
#define GATEWAY_DOCKER_CREATE_HOST_CONFIG_H_

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "slipway/container/v1/container.pb.h"

// HostConfig of ContainerCreate as fields of a ContainerSpec. Errors as SpecFromJson. Pure.
namespace slipway::gateway {

// Adds to `warnings` what is taken and has no effect.
absl::Status ReadHostConfig(const boost::json::object& object,
                            slipway::container::v1::ContainerSpec& spec,
                            std::vector<std::string>& warnings);

// "80", "80/tcp", "8000-8010/udp".
struct PortRange {
  uint32_t first = 0;
  uint32_t last = 0;
  std::string protocol;
};
absl::StatusOr<PortRange> ParsePort(absl::string_view text);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_CREATE_HOST_CONFIG_H_
