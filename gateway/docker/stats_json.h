#ifndef GATEWAY_DOCKER_STATS_JSON_H_
#define GATEWAY_DOCKER_STATS_JSON_H_

#include <boost/json/object.hpp>
#include <string>

#include "slipway/agent/v1/agent.pb.h"

namespace slipway::gateway {

// One sample as Docker's stats endpoint shows it (Engine API, ContainerStats). `name` without the
// slash. Pure.
boost::json::object StatsToJson(const slipway::agent::v1::ContainerStats& stats,
                                const std::string& name);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_STATS_JSON_H_
