#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/statfs.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/kernel/cgroup_files.h"
#include "runtime-agent/kernel/device_program.h"

namespace slipway::agent {
namespace {

constexpr int64_t kDefaultPeriodUs = 100000;
constexpr absl::Duration kFreezeTimeout = absl::Seconds(2);

// Shares 2..262144 to weight 1..10000, and blkio weight 10..1000 to 1..10000: the lines that OCI
// runtimes draw.
int64_t CpuWeight(int64_t shares) {
  return 1 + (std::clamp<int64_t>(shares, 2, 262144) - 2) * 9999 / 262142;
}
int64_t IoWeight(int64_t weight) {
  return 1 + (std::clamp<int64_t>(weight, 10, 1000) - 10) * 9999 / 990;
}

// Files and rules: Documentation/admin-guide/cgroup-v2.rst of Linux.
class CgroupV2Driver : public CgroupDriver {
 public:
  CgroupV2Driver(GroupDirectory directory, bool is_kernel)
      : directory_(std::move(directory)), is_kernel_(is_kernel) {}

  static absl::StatusOr<std::unique_ptr<CgroupDriver>> Create(const CgroupOptions& options) {
    std::string root = options.v2_root;
    if (root.empty()) {
      ASSIGN_OR_RETURN(CgroupMounts mounts, FindCgroupMounts());
      root = mounts.v2;
    }
    if (root.empty()) return absl::FailedPreconditionError("cgroup v2 is not mounted");
    ASSIGN_OR_RETURN(GroupDirectory directory, GroupDirectory::Create(root, options.prefix));
    struct statfs stat;
    bool is_kernel = statfs(root.c_str(), &stat) == 0 && stat.f_type == CGROUP2_SUPER_MAGIC;
    auto driver = std::make_unique<CgroupV2Driver>(std::move(directory), is_kernel);
    RETURN_IF_ERROR(driver->EnableControllers());
    if (is_kernel) {
      absl::StatusOr<UniqueFd> program = LoadDeviceProgram();
      if (program.ok()) {
        driver->device_program_ = *std::move(program);
      } else {
        driver->device_warning_ =
            absl::StrCat("devices are not restricted: ", program.status().message());
      }
    }
    return driver;
  }

  std::string version() const override { return "2"; }

  absl::StatusOr<CgroupLease> CreateGroup(const std::string& name,
                                          const CgroupLimits& limits) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    RETURN_IF_ERROR(directory_.Make(name));
    CgroupLease undo(this, name, {}, {});
    ASSIGN_OR_RETURN(std::vector<std::string> warnings, ApplyLimits(name, limits));
    ASSIGN_OR_RETURN(CgroupJoin join, OpenJoin(name));
    if (!limits.all_devices) {
      if (device_program_.ok()) {
        RETURN_IF_ERROR(AttachDeviceProgram(join.clone_into_fd.get(), device_program_.get()));
      } else if (!device_warning_.empty()) {
        warnings.push_back(device_warning_);
      }
    }
    return CgroupLease(this, undo.Release(), std::move(join), std::move(warnings));
  }

  absl::StatusOr<CgroupJoin> OpenJoin(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    CgroupJoin join;
    ASSIGN_OR_RETURN(join.clone_into_fd, directory_.Open(name, ".", O_RDONLY | O_DIRECTORY));
    return join;
  }

  absl::StatusOr<std::vector<std::string>> ApplyLimits(const std::string& name,
                                                       const CgroupLimits& limits) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    std::vector<std::string> warnings;
    RETURN_IF_ERROR(LimitCpu(name, limits, warnings));
    RETURN_IF_ERROR(LimitMemory(name, limits, warnings));
    if (limits.pids_limit != 0) {
      std::string value = limits.pids_limit < 0 ? "max" : absl::StrCat(limits.pids_limit);
      RETURN_IF_ERROR(Set(name, "pids.max", value, "a limit of processes", warnings));
    }
    if (limits.blkio_weight != 0) {
      if (directory_.Has(name, "io.bfq.weight")) {
        RETURN_IF_ERROR(directory_.Write(name, "io.bfq.weight", absl::StrCat(limits.blkio_weight)));
      } else {
        RETURN_IF_ERROR(Set(name, "io.weight", absl::StrCat(IoWeight(limits.blkio_weight)),
                            "a block I/O weight", warnings));
      }
    }
    return warnings;
  }

  absl::Status Kill(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    return directory_.Write(name, "cgroup.kill", "1");  // Linux 5.14 on
  }

  absl::Status Freeze(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    RETURN_IF_ERROR(directory_.Write(name, "cgroup.freeze", "1"));
    absl::Time deadline = absl::Now() + kFreezeTimeout;
    ASSIGN_OR_RETURN(UniqueFd events, directory_.Open(name, "cgroup.events", O_RDONLY));
    for (;;) {
      ASSIGN_OR_RETURN(std::string text, directory_.Read(name, "cgroup.events"));
      if (FindKey(ParseFlatKeyed(text), "frozen") == 1) return absl::OkStatus();
      if (absl::Now() >= deadline) break;
      pollfd change = {.fd = events.get(), .events = POLLPRI};
      poll(&change, 1, /*timeout_ms=*/50);
    }
    Thaw(name).IgnoreError();
    return absl::DeadlineExceededError(absl::StrCat("freeze cgroup ", name, ": not frozen in ",
                                                    absl::FormatDuration(kFreezeTimeout)));
  }

  absl::Status Thaw(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    return directory_.Write(name, "cgroup.freeze", "0");
  }

  absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenStats(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    return OpenCgroupV2Stats(directory_, name);
  }

  absl::StatusOr<uint64_t> ReadOomKills(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    absl::StatusOr<std::string> events = directory_.Read(name, "memory.events");
    if (absl::IsNotFound(events.status()) && directory_.Exists(name)) return 0;
    RETURN_IF_ERROR(events.status());
    return FindKey(ParseFlatKeyed(*events), "oom_kill");
  }

  absl::StatusOr<OomWatch> WatchOom(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    OomWatch watch{.events = EPOLLPRI};
    ASSIGN_OR_RETURN(watch.fd, directory_.Open(name, "memory.events", O_RDONLY));
    // Readiness is relative to what was read.
    char ignored[512];
    if (read(watch.fd.get(), ignored, sizeof(ignored)) < 0) {
      return ErrnoStatus(errno, "read memory.events");
    }
    return watch;
  }

  absl::StatusOr<std::vector<pid_t>> ListProcesses(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    ASSIGN_OR_RETURN(std::string text, directory_.Read(name, "cgroup.procs"));
    return ParsePids(text);
  }

  absl::Status Remove(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    return directory_.Remove(name);
  }

  absl::StatusOr<std::vector<std::string>> ListGroups() override { return directory_.List(); }

 private:
  // In the root and in our parent, which hold no processes of ours.
  absl::Status EnableControllers() {
    if (!is_kernel_) return absl::OkStatus();
    for (const char* level : {"../", ""}) {
      std::string available_file = absl::StrCat(level, "cgroup.controllers");
      std::string control_file = absl::StrCat(level, "cgroup.subtree_control");
      ASSIGN_OR_RETURN(std::string available, directory_.Read("", available_file.c_str()));
      ASSIGN_OR_RETURN(std::string enabled, directory_.Read("", control_file.c_str()));
      std::vector<std::string> on = absl::StrSplit(absl::StripAsciiWhitespace(enabled), ' ');
      std::vector<std::string> offered = absl::StrSplit(absl::StripAsciiWhitespace(available), ' ');
      for (const char* controller : {"cpuset", "cpu", "io", "memory", "pids"}) {
        bool is_offered = std::find(offered.begin(), offered.end(), controller) != offered.end();
        bool is_on = std::find(on.begin(), on.end(), controller) != on.end();
        if (!is_offered || is_on) continue;
        RETURN_IF_ERROR(directory_.Write("", control_file.c_str(), absl::StrCat("+", controller)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Set(const std::string& name, const char* file, const std::string& value,
                   absl::string_view what, std::vector<std::string>& warnings) const {
    absl::Status status = directory_.Write(name, file, value);
    if (!absl::IsNotFound(status) || !directory_.Exists(name)) return status;
    warnings.push_back(absl::StrCat("this kernel does not support ", what, " (", file,
                                    " is missing); it was left out"));
    return absl::OkStatus();
  }

  absl::Status LimitCpu(const std::string& name, const CgroupLimits& limits,
                        std::vector<std::string>& warnings) const {
    if (limits.cpu_shares != 0) {
      RETURN_IF_ERROR(Set(name, "cpu.weight", absl::StrCat(CpuWeight(limits.cpu_shares)),
                          "CPU shares", warnings));
    }
    int64_t period = limits.cpu_period_us != 0 ? limits.cpu_period_us : kDefaultPeriodUs;
    int64_t quota = limits.cpu_quota_us;
    if (limits.nano_cpus > 0) {
      period = kDefaultPeriodUs;
      quota = limits.nano_cpus / (1000000000 / kDefaultPeriodUs);
    }
    if (quota != 0 || limits.cpu_period_us != 0) {
      std::string value =
          quota > 0 ? absl::StrCat(quota, " ", period) : absl::StrCat("max ", period);
      RETURN_IF_ERROR(Set(name, "cpu.max", value, "a CPU quota", warnings));
    }
    if (!limits.cpuset_cpus.empty()) {
      RETURN_IF_ERROR(Set(name, "cpuset.cpus", limits.cpuset_cpus, "a set of CPUs", warnings));
    }
    if (!limits.cpuset_mems.empty()) {
      RETURN_IF_ERROR(
          Set(name, "cpuset.mems", limits.cpuset_mems, "a set of memory nodes", warnings));
    }
    return absl::OkStatus();
  }

  absl::Status LimitMemory(const std::string& name, const CgroupLimits& limits,
                           std::vector<std::string>& warnings) const {
    auto bytes = [](int64_t value) { return value < 0 ? "max" : absl::StrCat(value); };
    if (limits.memory_bytes != 0) {
      RETURN_IF_ERROR(
          Set(name, "memory.max", bytes(limits.memory_bytes), "a limit of memory", warnings));
    }
    // v2 counts swap apart from memory.
    int64_t swap = 0;
    if (limits.memory_swap_bytes < 0) {
      swap = -1;
    } else if (limits.memory_bytes > 0) {
      swap = limits.memory_swap_bytes == 0 ? limits.memory_bytes
                                           : limits.memory_swap_bytes - limits.memory_bytes;
      if (swap < 0) {
        return absl::InvalidArgumentError(
            "the limit of memory and swap together is below that of memory");
      }
    }
    if (limits.memory_bytes > 0 || limits.memory_swap_bytes < 0) {
      bool asked = limits.memory_swap_bytes != 0;
      if (asked || directory_.Has(name, "memory.swap.max")) {
        RETURN_IF_ERROR(Set(name, "memory.swap.max", bytes(swap), "a limit of swap", warnings));
      }
    }
    if (limits.memory_reservation_bytes != 0) {
      RETURN_IF_ERROR(Set(name, "memory.low", bytes(limits.memory_reservation_bytes),
                          "a memory reservation", warnings));
    }
    if (limits.oom_kill_disable) {
      warnings.push_back("cgroup v2 cannot switch off the out-of-memory killer; it was left on");
    }
    return absl::OkStatus();
  }

  GroupDirectory directory_;
  const bool is_kernel_;
  UniqueFd device_program_;
  std::string device_warning_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupDriver>> NewCgroupV2Driver(const CgroupOptions& options) {
  return CgroupV2Driver::Create(options);
}

}  // namespace slipway::agent
