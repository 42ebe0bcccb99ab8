#ifndef RUNTIME_AGENT_KERNEL_DEVICE_PROGRAM_H_
#define RUNTIME_AGENT_KERNEL_DEVICE_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/kernel/device_rule.h"

// Which devices the processes of a group may use. Thread-safe.
namespace slipway::agent {

// What runc allows every container of Docker (`devices.list` of one): making any node, using these.
inline constexpr DeviceRule kDefaultDevices[] = {
    {'c', -1, -1, {"m"}}, {'b', -1, -1, {"m"}},    {'c', 1, 3, {"rwm"}}, {'c', 1, 5, {"rwm"}},
    {'c', 1, 7, {"rwm"}}, {'c', 1, 8, {"rwm"}},    {'c', 1, 9, {"rwm"}}, {'c', 5, 0, {"rwm"}},
    {'c', 5, 2, {"rwm"}}, {'c', 136, -1, {"rwm"}},
};

// "c 1:3 rwm", as v1's devices.allow takes it.
std::string FormatDeviceRule(const DeviceRule& rule);

// v2 (Linux 4.15 on): a program of type CGROUP_DEVICE that allows kDefaultDevices, `more`, and
// nothing else.
absl::StatusOr<UniqueFd> LoadDeviceProgram(const std::vector<DeviceRule>& more);
// The program stays attached as long as the group exists.
absl::Status AttachDeviceProgram(int group_fd, int program_fd);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_DEVICE_PROGRAM_H_
