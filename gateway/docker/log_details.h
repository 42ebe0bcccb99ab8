#ifndef GATEWAY_DOCKER_LOG_DETAILS_H_
#define GATEWAY_DOCKER_LOG_DETAILS_H_

#include <string>

#include "slipway/container/v1/container.pb.h"

namespace slipway::gateway {

// What `docker logs --details` puts before each line: the labels and variables that the log options
// labels, labels-regex, env and env-regex name, and the tag, as "key=value" with both escaped as in
// a query, in the order of the keys, and a space behind them. The space is there even without any.
// Pure; thread-safe.
std::string LogDetails(const slipway::container::v1::Container& container);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_LOG_DETAILS_H_
