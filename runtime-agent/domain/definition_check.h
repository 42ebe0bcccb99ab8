#ifndef RUNTIME_AGENT_DOMAIN_DEFINITION_CHECK_H_
#define RUNTIME_AGENT_DOMAIN_DEFINITION_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/domain/spec.h"

namespace slipway::agent {

// What of the host decides how a spec is read.
struct HostFacts {
  uint64_t capabilities = 0;
  std::string hostname;
  int own_oom_score_adj = 0;
  bool may_raise_limits = false;  // CAP_SYS_RESOURCE
  // Volumes live in <volumes_directory>/<name>/_data; anonymous ones below the container's own.
  std::string volumes_directory;
  std::string cpus = "";          // of the host: "0-3"; empty: not known
  std::string memory_nodes = "";  // "0"
  // Of containers that do not ask for the host's users; zero: users are not remapped.
  uint32_t first_uid = 0;
  uint32_t first_gid = 0;
  std::string container_directory;
};

struct DefinitionResult {
  Definition definition;  // without `user`
  std::vector<std::string> warnings;
};

// Reads a spec into a definition. Pure but for looking at device nodes.
// InvalidArgument says what is wrong with which option, in Docker's words where Docker has some;
// Unimplemented names an option that is known and not offered.
absl::StatusOr<DefinitionResult> DefineContainer(const PrepareCommand& command,
                                                 const HostFacts& facts);

// definition_mounts.cc: the mounts of a spec, parents before children.
absl::StatusOr<std::vector<DefinedMount>> DefineMounts(const PrepareCommand& command,
                                                       const HostFacts& facts);
// definition_limits.cc
absl::StatusOr<CgroupLimits> DefineLimits(const ResourceSpec& resources, const HostFacts& facts);
// "" stays "", everything else becomes an absolute path.
absl::StatusOr<std::string> DefineCgroupParent(absl::string_view text);
absl::StatusOr<std::vector<DefinedRlimit>> DefineRlimits(const std::vector<UlimitSpec>& ulimits,
                                                         bool may_raise,
                                                         std::vector<std::string>* warnings);
absl::Status CheckSysctls(const std::vector<std::pair<std::string, std::string>>& sysctls,
                          const Definition& definition);
// definition_devices.cc: nodes and rules; looks at nodes of the host.
absl::Status DefineDevices(const ContainerSpec& spec, Definition* definition);
// definition_network.cc
absl::Status DefineNetwork(const PrepareCommand& command, Definition* definition);

// Layers, bottom first, without those that come again further up: what an upper one has hides all
// of the same one below, whatever lies between, and overlayfs takes a directory only once (ELOOP).
std::vector<std::string> WithoutRepeats(const std::vector<std::string>& diff_ids);

// "/a/../b//c/" becomes "/b/c"; InvalidArgument when it is not absolute.
absl::StatusOr<std::string> CleanPath(absl::string_view path, absl::string_view what);

inline constexpr char kDefaultMaskedPaths[][40] = {
    "/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
    "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap",
};
inline constexpr char kDefaultReadOnlyPaths[][24] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_DEFINITION_CHECK_H_
