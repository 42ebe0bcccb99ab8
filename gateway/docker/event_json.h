#ifndef GATEWAY_DOCKER_EVENT_JSON_H_
#define GATEWAY_DOCKER_EVENT_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "gateway/docker/filters.h"
#include "slipway/common/v1/common.pb.h"

// Events as the Engine API streams them (SystemEvents). Pure.
namespace slipway::gateway {

// One line of JSON, with its newline.
std::string EventToJson(const slipway::common::v1::Event& event);

// InvalidArgument for a filter that SystemEvents does not know.
absl::Status CheckEventFilters(const Filters& filters);
bool EventPasses(const slipway::common::v1::Event& event, const Filters& filters);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_EVENT_JSON_H_
