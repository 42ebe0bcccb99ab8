#ifndef GATEWAY_ENDPOINTS_HOST_FACTS_H_
#define GATEWAY_ENDPOINTS_HOST_FACTS_H_

#include <cstdint>
#include <string>

namespace slipway::gateway {

// What the gateway itself sees of the host it runs on.
struct HostFacts {
  std::string hostname;
  std::string kernel_version;
  std::string architecture;      // "x86_64"
  std::string go_architecture;   // "amd64"
  std::string operating_system;  // "Debian GNU/Linux 12 (bookworm)"
  std::string os_id;
  std::string os_version;
  std::string cgroup_version;  // "1", "2"
  int64_t memory_bytes = 0;
  int cpus = 0;
};

// Read once, at the first call. Thread-safe.
const HostFacts& LocalHost();

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_HOST_FACTS_H_
