#ifndef RUNTIME_AGENT_KERNEL_DEVICE_RULE_H_
#define RUNTIME_AGENT_KERNEL_DEVICE_RULE_H_

#include <array>

namespace slipway::agent {

// One line of what the processes of a group may do with devices.
struct DeviceRule {
  char type = 'c';               // 'c', 'b', or 'a' for both
  int major = -1;                // -1: every one
  int minor = -1;                // -1: every one
  std::array<char, 4> access{};  // of "rwm", NUL-terminated

  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_DEVICE_RULE_H_
