#ifndef GATEWAY_DOCKER_PATH_STAT_H_
#define GATEWAY_DOCKER_PATH_STAT_H_

#include <cstdint>
#include <string>

#include "slipway/agent/v1/agent.pb.h"

namespace slipway::gateway {

// The value of X-Docker-Container-Path-Stat: base64 of JSON. Pure.
std::string PathStatHeader(const slipway::agent::v1::PathStat& stat);

// Go's os.FileMode for a mode of stat(2), as that JSON has it.
uint32_t GoFileMode(uint32_t mode);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_PATH_STAT_H_
