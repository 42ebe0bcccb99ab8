#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime-agent/domain/definition_check.h"

namespace slipway::agent {
namespace {

constexpr int64_t kMinimumMemoryBytes = 6 << 20;

constexpr struct {
  absl::string_view name;
  int resource;
} kUlimits[] = {
    {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

uint64_t LimitValue(int64_t value) {
  return value < 0 ? RLIM_INFINITY : static_cast<uint64_t>(value);
}

}  // namespace

absl::StatusOr<CgroupLimits> DefineLimits(const ResourceSpec& spec) {
  if (!spec.cgroup_parent.empty()) {
    return absl::UnimplementedError("a cgroup parent (--cgroup-parent) is not offered");
  }
  if (spec.memory_bytes != 0 && spec.memory_bytes < kMinimumMemoryBytes) {
    return absl::InvalidArgumentError("Minimum memory limit allowed is 6MB");
  }
  if (spec.memory_swap_bytes > 0 && spec.memory_bytes == 0) {
    return absl::InvalidArgumentError(
        "You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (spec.memory_swap_bytes > 0 && spec.memory_swap_bytes < spec.memory_bytes) {
    return absl::InvalidArgumentError(
        "Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (spec.memory_bytes > 0 && spec.memory_reservation_bytes > spec.memory_bytes) {
    return absl::InvalidArgumentError(
        "Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  if (spec.nano_cpus < 0 || spec.cpu_shares < 0 || spec.memory_reservation_bytes < 0) {
    return absl::InvalidArgumentError("a resource limit is negative");
  }
  if (spec.nano_cpus > 0 && (spec.cpu_quota_us > 0 || spec.cpu_period_us > 0)) {
    return absl::InvalidArgumentError(
        "Conflicting options: Nano CPUs and CPU Quota or Period cannot both be set");
  }
  if (spec.blkio_weight != 0 && (spec.blkio_weight < 10 || spec.blkio_weight > 1000)) {
    return absl::InvalidArgumentError("Range of blkio weight is from 10 to 1000");
  }
  CgroupLimits limits;
  limits.nano_cpus = spec.nano_cpus;
  limits.cpu_shares = spec.cpu_shares;
  limits.cpu_quota_us = spec.cpu_quota_us;
  limits.cpu_period_us = spec.cpu_period_us;
  limits.cpuset_cpus = spec.cpuset_cpus;
  limits.cpuset_mems = spec.cpuset_mems;
  limits.memory_bytes = spec.memory_bytes;
  limits.memory_swap_bytes = spec.memory_swap_bytes;
  limits.memory_reservation_bytes = spec.memory_reservation_bytes;
  limits.pids_limit = spec.pids_limit;
  limits.oom_kill_disable = spec.oom_kill_disable;
  limits.blkio_weight = spec.blkio_weight;
  return limits;
}

absl::StatusOr<std::vector<DefinedRlimit>> DefineRlimits(const std::vector<UlimitSpec>& ulimits,
                                                         bool may_raise,
                                                         std::vector<std::string>* warnings) {
  std::vector<DefinedRlimit> rlimits;
  for (const UlimitSpec& spec : ulimits) {
    const auto* known = std::find_if(std::begin(kUlimits), std::end(kUlimits),
                                     [&](const auto& entry) { return entry.name == spec.name; });
    if (known == std::end(kUlimits)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid ulimit type: ", spec.name));
    }
    DefinedRlimit limit{known->resource, LimitValue(spec.soft), LimitValue(spec.hard)};
    if (limit.soft > limit.hard) {
      return absl::InvalidArgumentError(
          absl::StrCat("ulimit soft limit must be less than or equal to hard limit: ", spec.soft,
                       " > ", spec.hard));
    }
    rlimit own{};
    getrlimit(static_cast<__rlimit_resource_t>(known->resource), &own);
    if (!may_raise && limit.hard > own.rlim_max) {
      warnings->push_back(absl::StrCat("ulimit ", spec.name, " above the host agent's own ",
                                       own.rlim_max, " needs CAP_SYS_RESOURCE: that is used"));
      limit.hard = own.rlim_max;
      limit.soft = std::min<uint64_t>(limit.soft, own.rlim_max);
    }
    rlimits.push_back(limit);
  }
  return rlimits;
}

// As Docker and runc: only what belongs to a namespace of the container's own.
absl::Status CheckSysctls(const std::vector<std::pair<std::string, std::string>>& sysctls,
                          const Definition& definition) {
  for (const auto& [key, value] : sysctls) {
    const bool ipc = absl::StartsWith(key, "kernel.shm") || absl::StartsWith(key, "kernel.msg") ||
                     key == "kernel.sem" || absl::StartsWith(key, "fs.mqueue.");
    const bool net = absl::StartsWith(key, "net.");
    const bool uts = key == "kernel.domainname";
    if ((!ipc && !net && !uts) || absl::StrContains(key, "..") ||
        key.find('\0') != std::string::npos || value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("sysctl '", key, "' is not allowed"));
    }
    const NamespaceMode& mode = ipc ? definition.ipc : net ? definition.network : definition.uts;
    if (mode.kind == NamespaceMode::Kind::kHost) {
      return absl::InvalidArgumentError(
          absl::StrCat("sysctl '", key, "' is not allowed in the host's namespace"));
    }
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
