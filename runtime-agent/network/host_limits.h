#ifndef RUNTIME_AGENT_NETWORK_HOST_LIMITS_H_
#define RUNTIME_AGENT_NETWORK_HOST_LIMITS_H_

#include <cstddef>
#include <string>

namespace slipway::agent {

// So many containers of a host do with what a kernel comes with.
inline constexpr size_t kFewEndpoints = 128;

// Raises what the kernels of hosts limit for all network namespaces together, where it is less:
// neighbours (net.ipv4.neigh.default.gc_thresh2 and 3, the same of ipv6: 1,024 are a few hundred
// containers that talk to their gateway, whose entries and the host's count alike) and the packets
// that wait for a processor (net.core.netdev_max_backlog: a question to all of a network must fit).
// Where the files are not there, as in a network namespace that plays the host, nothing is done.
// `sysctls`: /proc/sys, but in a test. Thread-safe.
void RaiseHostLimits(const std::string& sysctls = "/proc/sys");

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_HOST_LIMITS_H_
