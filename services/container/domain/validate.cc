#include "services/container/domain/validate.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "services/container/domain/log_policy.h"
#include "services/container/domain/signal_name.h"

namespace slipway::container {
namespace {

constexpr int64_t kMinimumHealthcheckNs = 1'000'000;
constexpr size_t kMaximumHostnameBytes = 64;  // __NEW_UTS_LEN
constexpr absl::string_view kUlimits[] = {"core",    "cpu",      "data",   "fsize",      "locks",
                                          "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                          "rss",     "rtprio",   "rttime", "sigpending", "stack"};

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

template <typename List>
bool Contains(const List& list, absl::string_view wanted) {
  return std::find(std::begin(list), std::end(list), wanted) != std::end(list);
}

absl::Status ValidateHealthcheck(const Healthcheck& check) {
  if (!check.test.empty() && !check.test[0].empty() &&
      !Contains(std::array<absl::string_view, 3>{"NONE", "CMD", "CMD-SHELL"}, check.test[0])) {
    return Bad("Unknown type \"", check.test[0], "\" in healthcheck");
  }
  const struct {
    absl::string_view name;
    int64_t value;
  } durations[] = {{"Interval", check.interval_ns},
                   {"Timeout", check.timeout_ns},
                   {"StartPeriod", check.start_period_ns},
                   {"StartInterval", check.start_interval_ns}};
  for (const auto& duration : durations) {
    if (duration.value != 0 && duration.value < kMinimumHealthcheckNs) {
      return Bad(duration.name, " in Healthcheck cannot be less than 1ms");
    }
  }
  if (check.retries < 0) return Bad("Retries in Healthcheck cannot be negative");
  return absl::OkStatus();
}

absl::Status ValidateRestartPolicy(const ContainerSpec& spec) {
  const RestartPolicy& policy = spec.restart_policy;
  switch (policy.mode) {
    case RestartPolicy::Mode::kUnspecified:
    case RestartPolicy::Mode::kNo:
      if (policy.maximum_retries != 0) {
        return Bad(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'");
      }
      return absl::OkStatus();
    case RestartPolicy::Mode::kAlways:
    case RestartPolicy::Mode::kUnlessStopped:
      if (policy.maximum_retries != 0) {
        return Bad("maximum retry count cannot be used with restart policy '",
                   policy.mode == RestartPolicy::Mode::kAlways ? "always" : "unless-stopped", "'");
      }
      break;
    case RestartPolicy::Mode::kOnFailure:
      if (policy.maximum_retries < 0) return Bad("maximum retry count cannot be negative");
      break;
    default:
      return Bad("invalid restart policy '", static_cast<int>(policy.mode), "'");
  }
  if (spec.auto_remove) return Bad("can't create 'AutoRemove' container with restart policy");
  return absl::OkStatus();
}

// "0-3,7"; cpuset(7), "Formats", "List format".
absl::Status CheckCpuList(absl::string_view what, absl::string_view text) {
  constexpr uint32_t kMaximum = 8192;
  if (text.empty()) return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> range =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    const bool is_range = absl::StrContains(part, '-');
    uint32_t first = 0;
    uint32_t last = 0;
    if (!absl::SimpleAtoi(range.first, &first) ||
        (is_range && (!absl::SimpleAtoi(range.second, &last) || last < first))) {
      return Bad("Invalid value ", text, " for cpuset ", what, ": invalid format: ", text);
    }
    if (std::max(first, last) > kMaximum) {
      return Bad("Invalid value ", text, " for cpuset ", what, ": value of out range, maximum is ",
                 kMaximum);
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateMemory(const Resources& resources) {
  const int64_t memory = resources.memory_bytes;
  const int64_t swap = resources.memory_swap_bytes;
  const int64_t reservation = resources.memory_reservation_bytes;
  if (memory < 0 || (memory > 0 && memory < kMinimumMemoryBytes)) {
    return Bad("Minimum memory limit allowed is 6MB");
  }
  if (swap > 0 && memory == 0) {
    return Bad("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (swap < -1 || (swap > 0 && swap < memory)) {
    return Bad("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (reservation < 0 || (reservation > 0 && reservation < kMinimumMemoryBytes)) {
    return Bad("Minimum memory reservation allowed is 6MB");
  }
  if (memory > 0 && reservation > memory) {
    return Bad("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  if (resources.memory_swappiness &&
      (*resources.memory_swappiness < 0 || *resources.memory_swappiness > 100)) {
    return Bad("Invalid value: ", *resources.memory_swappiness,
               ", valid memory swappiness range is 0-100");
  }
  if (resources.kernel_memory_bytes < 0 ||
      (resources.kernel_memory_bytes > 0 && resources.kernel_memory_bytes < kMinimumMemoryBytes)) {
    return Bad("Minimum kernel memory limit allowed is 6MB");
  }
  return absl::OkStatus();
}

absl::Status ValidateCpu(const Resources& resources, int host_cpus) {
  if (resources.nano_cpus != 0 && resources.cpu_period_us != 0) {
    return Bad("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  }
  if (resources.nano_cpus != 0 && resources.cpu_quota_us != 0) {
    return Bad("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  }
  if (resources.nano_cpus < 0 ||
      (host_cpus > 0 && resources.nano_cpus > int64_t{host_cpus} * 1'000'000'000)) {
    return Bad("Range of CPUs is from 0.01 to ", host_cpus, ".00, as there are only ", host_cpus,
               " CPUs available");
  }
  if (resources.cpu_shares != 0 && resources.cpu_shares < 2) {
    return Bad("invalid CPU shares (", resources.cpu_shares,
               "): the minimum allowed cpu-shares is 2");
  }
  if (resources.cpu_shares > 262144) {
    return Bad("invalid CPU shares (", resources.cpu_shares,
               "): the maximum allowed cpu-shares is 262144");
  }
  if (resources.cpu_period_us != 0 &&
      (resources.cpu_period_us < 1000 || resources.cpu_period_us > 1'000'000)) {
    return Bad(
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (resources.cpu_quota_us > 0 && resources.cpu_quota_us < 1000) {
    return Bad("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  }
  RETURN_IF_ERROR(CheckCpuList("cpus", resources.cpuset_cpus));
  return CheckCpuList("mems", resources.cpuset_mems);
}

// The host knows the names. "ALL" is a word of Docker's and no capability.
absl::Status ValidateCapabilities(absl::string_view option, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (absl::EqualsIgnoreCase(name, "CAP_ALL")) {
      return Bad("invalid ", option, ": unknown capability: \"CAP_ALL\"");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateUlimits(const ContainerSpec& spec) {
  for (const Ulimit& limit : spec.ulimits) {
    if (!Contains(kUlimits, limit.name)) return Bad("invalid ulimit type: ", limit.name);
    if (limit.soft < -1 || limit.hard < -1) {
      return Bad("invalid ulimit value for ", limit.name, ": ", limit.soft, ":", limit.hard);
    }
    const bool soft_is_more = limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard);
    if (soft_is_more) {
      return Bad("ulimit soft limit must be less than or equal to hard limit: ", limit.soft, " > ",
                 limit.hard);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view JoinedContainer(absl::string_view mode) {
  return absl::ConsumePrefix(&mode, "container:") ? mode : absl::string_view();
}

absl::Status ValidateResources(const ContainerSpec& spec, int host_cpus) {
  const Resources& resources = spec.resources;
  RETURN_IF_ERROR(ValidateMemory(resources));
  RETURN_IF_ERROR(ValidateCpu(resources, host_cpus));
  if (resources.pids_limit < -1) return Bad("invalid pids limit (", resources.pids_limit, ")");
  if (resources.oom_score_adj < -1000 || resources.oom_score_adj > 1000) {
    return Bad("Invalid value ", resources.oom_score_adj,
               ", range for oom score adj is [-1000, 1000]");
  }
  if (resources.blkio_weight != 0 &&
      (resources.blkio_weight < 10 || resources.blkio_weight > 1000)) {
    return Bad("Range of blkio weight is from 10 to 1000");
  }
  if (spec.shm_size_bytes < 0) return Bad("SHM size can not be less than 0");
  return ValidateUlimits(spec);
}

absl::Status ValidateProcess(const ContainerSpec& spec) {
  for (const std::string& entry : spec.env) {
    if (entry.empty() || entry[0] == '=' || entry.find('\0') != std::string::npos) {
      return Bad("invalid environment variable: ", entry.substr(0, 200));
    }
  }
  if (!spec.working_directory.empty() && spec.working_directory[0] != '/') {
    return Bad("the working directory '", spec.working_directory,
               "' is invalid, it needs to be an absolute path");
  }
  if (!spec.stop_signal.empty()) RETURN_IF_ERROR(ParseSignal(spec.stop_signal).status());
  if (spec.stop_timeout_seconds.value_or(0) < -1) {
    return Bad("invalid stop timeout: ", *spec.stop_timeout_seconds);
  }
  // What the kernel takes, and what does not break /etc/hosts.
  const std::pair<absl::string_view, const std::string*> names[] = {
      {"hostname", &spec.hostname}, {"domainname", &spec.domainname}};
  for (const auto& [what, name] : names) {
    const bool clean = std::all_of(name->begin(), name->end(), [](unsigned char c) {
      return absl::ascii_isgraph(c) && c != '#' && c != '/';
    });
    if (name->size() > kMaximumHostnameBytes || !clean) {
      return Bad("invalid ", what, " format: ", name->substr(0, 200));
    }
  }
  for (const auto& [key, value] : spec.labels) {
    if (key.empty()) return Bad("invalid label: empty name");
  }
  for (const auto& [key, value] : spec.sysctls) {
    if (key.empty() || absl::StrContains(key, "..") || absl::StrContains(key, ' ')) {
      return Bad("invalid sysctl: ", key);
    }
  }
  if (spec.healthcheck.has_value()) return ValidateHealthcheck(*spec.healthcheck);
  return absl::OkStatus();
}

absl::Status ValidateSpec(const ContainerSpec& spec, int host_cpus) {
  if (spec.image.empty()) return Bad("no image specified");
  if (spec.client_data.size() > kMaximumClientDataBytes) {
    return Bad("client data of ", spec.client_data.size(), " bytes is longer than 65536");
  }
  RETURN_IF_ERROR(ValidateProcess(spec));
  RETURN_IF_ERROR(ValidateRestartPolicy(spec));
  RETURN_IF_ERROR(ValidateResources(spec, host_cpus));
  RETURN_IF_ERROR(ValidateCapabilities("CapAdd", spec.security.cap_add));
  RETURN_IF_ERROR(ValidateCapabilities("CapDrop", spec.security.cap_drop));
  RETURN_IF_ERROR(ValidateNetwork(spec));
  RETURN_IF_ERROR(ValidateMounts(spec));
  return ValidateLogPolicy(spec.log);
}

std::vector<std::string> Warnings(const ContainerSpec& spec) {
  std::vector<std::string> warnings;
  if (spec.resources.kernel_memory_bytes != 0) {
    warnings.emplace_back(kKernelMemoryWarning);
  }
  if (spec.resources.oom_kill_disable && spec.resources.memory_bytes == 0) {
    warnings.push_back(
        "OOM killer is disabled for the container, but no memory limit is set, this can result in "
        "the system running out of resources.");
  }
  return warnings;
}

absl::Status ValidateExecSpec(const ExecSpec& spec) {
  if (spec.command.empty() || spec.command[0].empty()) return Bad("No exec command specified");
  for (const std::string& entry : spec.env) {
    if (entry.empty() || entry[0] == '=') return Bad("invalid environment variable: ", entry);
  }
  if (!spec.working_directory.empty() && spec.working_directory[0] != '/') {
    return Bad("the working directory '", spec.working_directory,
               "' is invalid, it needs to be an absolute path");
  }
  return absl::OkStatus();
}

}  // namespace slipway::container
