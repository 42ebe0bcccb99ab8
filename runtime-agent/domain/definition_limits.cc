#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/definition_check.h"

namespace slipway::agent {
namespace {

constexpr int64_t kMinimumMemoryBytes = 6 << 20;
constexpr uint32_t kMaxCpu = 8192;

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

// The numbers of "0-3,7" (cpuset(7), "List format"); what is no such list adds nothing.
std::set<uint32_t> ListMembers(absl::string_view text) {
  std::set<uint32_t> members;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    uint32_t last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) continue;
    for (uint32_t number = first; number <= last && number <= kMaxCpu; ++number) {
      members.insert(number);
    }
  }
  return members;
}

bool Covers(absl::string_view available, absl::string_view wanted) {
  if (available.empty() || wanted.empty()) return true;
  const std::set<uint32_t> have = ListMembers(available);
  const std::set<uint32_t> want = ListMembers(wanted);
  return std::includes(have.begin(), have.end(), want.begin(), want.end());
}

absl::Status AddBlockLimits(const ResourceSpec& spec, CgroupLimits* limits) {
  using Kind = BlockLimit::Kind;
  const std::pair<Kind, const std::vector<BlockDeviceSpec>*> lists[] = {
      {Kind::kWeight, &spec.blkio_weight_devices},
      {Kind::kReadBps, &spec.blkio_read_bps_devices},
      {Kind::kWriteBps, &spec.blkio_write_bps_devices},
      {Kind::kReadIops, &spec.blkio_read_iops_devices},
      {Kind::kWriteIops, &spec.blkio_write_iops_devices}};
  for (const auto& [kind, list] : lists) {
    for (const BlockDeviceSpec& device : *list) {
      if (kind == Kind::kWeight && (device.value < 10 || device.value > 1000)) {
        return absl::InvalidArgumentError("Range of blkio weight is from 10 to 1000");
      }
      struct stat info;
      if (stat(device.path.c_str(), &info) != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("stat ", device.path, ": ", absl::AsciiStrToLower(std::strerror(errno))));
      }
      if (!S_ISBLK(info.st_mode)) {
        return absl::InvalidArgumentError(absl::StrCat(device.path, " is not a block device"));
      }
      limits->block_limits.push_back(
          {kind, major(info.st_rdev), minor(info.st_rdev), device.value});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CgroupLimits> DefineLimits(const ResourceSpec& spec, const HostFacts& facts) {
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
  limits.memory_swappiness = spec.memory_swappiness;
  if (!Covers(facts.cpus, spec.cpuset_cpus)) {
    return absl::InvalidArgumentError(absl::StrCat("Requested CPUs are not available - requested ",
                                                   spec.cpuset_cpus, ", available: ", facts.cpus));
  }
  if (!Covers(facts.memory_nodes, spec.cpuset_mems)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Requested memory nodes are not available - requested ", spec.cpuset_mems,
                     ", available: ", facts.memory_nodes));
  }
  RETURN_IF_ERROR(AddBlockLimits(spec, &limits));
  return limits;
}

absl::StatusOr<std::string> DefineCgroupParent(absl::string_view text) {
  if (text.empty()) return std::string();
  ASSIGN_OR_RETURN(std::string parent, CleanPath(absl::StrCat("/", text), "cgroup parent"));
  if (parent == "/" || absl::StrContains(parent, "/.") || parent.size() > 500) {
    return absl::InvalidArgumentError(absl::StrCat("invalid cgroup parent: ", text));
  }
  return parent;
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
    if (key == "kernel.hostname") {
      return absl::InvalidArgumentError(absl::StrCat(
          "sysctl \"", key, "\" is not allowed as it conflicts with the OCI \"hostname\" field"));
    }
    if ((!ipc && !net && !uts) || absl::StrContains(key, "..") ||
        key.find('\0') != std::string::npos || value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("sysctl \"", key, "\" is not in a separate kernel namespace"));
    }
    const NamespaceMode& mode = ipc ? definition.ipc : net ? definition.network : definition.uts;
    if (mode.kind == NamespaceMode::Kind::kHost) {
      return absl::InvalidArgumentError(
          net ? absl::StrCat("sysctl \"", key, "\" not allowed in host network namespace")
              : absl::StrCat("sysctl \"", key, "\" is not allowed in the hosts ",
                             ipc ? "ipc" : "uts", " namespace"));
    }
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
