#ifndef RUNTIME_AGENT_RPC_HOST_FACTS_H_
#define RUNTIME_AGENT_RPC_HOST_FACTS_H_

#include <string>

#include "slipway/agent/v1/agent.pb.h"

namespace slipway::agent {

// What `docker info` says of a host: kernel, distribution, size, security. Without host_id and
// root_directory. Thread-safe.
v1::GetHostResponse DescribeHost(const std::string& cgroup_version);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_HOST_FACTS_H_
