#ifndef SERVICES_CONTAINER_DOMAIN_VALIDATE_H_
#define SERVICES_CONTAINER_DOMAIN_VALIDATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/container/model/spec.h"

// What a client may ask for, and Docker's words for what it may not. Everything here needs only the
// request and the host's size; users, capabilities and host paths are the agent's to check. Pure
// functions, thread-safe; every error is InvalidArgument.
namespace slipway::container {

inline constexpr int64_t kMinimumMemoryBytes = 6 << 20;
inline constexpr size_t kMaximumClientDataBytes = 64 << 10;
// Of a limit that kernels no longer have.
inline constexpr absl::string_view kKernelMemoryWarning =
    "Specifying a kernel memory limit is deprecated and will be removed in a future release.";

// `host_cpus`: zero where it is not known, which leaves the upper bound open.
absl::Status ValidateSpec(const ContainerSpec& spec, int host_cpus);
// What is taken and has no effect, or one that may surprise, in Docker's words.
std::vector<std::string> Warnings(const ContainerSpec& spec);
absl::Status ValidateExecSpec(const ExecSpec& spec);

// The parts, each named by what it looks at.
absl::Status ValidateResources(const ContainerSpec& spec, int host_cpus);
absl::Status ValidateNetwork(const ContainerSpec& spec);
absl::Status ValidateMounts(const ContainerSpec& spec);
absl::Status ValidateProcess(const ContainerSpec& spec);

// "container:<reference>" → the reference; empty for any other mode.
absl::string_view JoinedContainer(absl::string_view mode);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_VALIDATE_H_
