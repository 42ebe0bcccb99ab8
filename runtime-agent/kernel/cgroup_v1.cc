#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
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
constexpr int kKillPasses = 10;
constexpr const char* kControllers[] = {"cpu",     "cpuacct", "cpuset", "memory",
                                        "devices", "freezer", "blkio",  "pids"};

// Files and rules: Documentation/admin-guide/cgroup-v1 of Linux.
class CgroupV1Driver : public CgroupDriver {
 public:
  static absl::StatusOr<std::unique_ptr<CgroupDriver>> Create(const CgroupOptions& options) {
    ASSIGN_OR_RETURN(CgroupMounts mounts, FindCgroupMounts());
    auto driver = std::make_unique<CgroupV1Driver>();
    for (const CgroupMounts::V1& v1 : mounts.v1) {
      bool wanted = std::any_of(v1.controllers.begin(), v1.controllers.end(), IsController);
      if (!wanted) continue;
      ASSIGN_OR_RETURN(GroupDirectory directory,
                       GroupDirectory::Create(v1.mount_point, options.prefix));
      driver->hierarchies_.push_back({std::move(directory), v1.controllers, v1.mount_point});
    }
    if (driver->hierarchies_.empty()) {
      return absl::FailedPreconditionError("no cgroup v1 controller is mounted");
    }
    RETURN_IF_ERROR(driver->PrepareCpuset());
    return driver;
  }

  std::string version() const override { return "1"; }

  absl::StatusOr<CgroupLease> CreateGroup(const std::string& name,
                                          const CgroupLimits& limits) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    for (size_t i = 0; i < hierarchies_.size(); ++i) {
      absl::Status made = hierarchies_[i].directory.Make(name);
      if (made.ok()) continue;
      while (i-- > 0) hierarchies_[i].directory.Remove(name).IgnoreError();
      return made;
    }
    CgroupLease undo(this, name, {}, {});
    RETURN_IF_ERROR(LimitDevices(name, limits.all_devices));
    ASSIGN_OR_RETURN(std::vector<std::string> warnings, ApplyLimits(name, limits));
    ASSIGN_OR_RETURN(CgroupJoin join, OpenJoin(name));
    return CgroupLease(this, undo.Release(), std::move(join), std::move(warnings));
  }

  absl::StatusOr<CgroupJoin> OpenJoin(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    CgroupJoin join;
    join.self_join_fds.reserve(hierarchies_.size());
    for (const Hierarchy& hierarchy : hierarchies_) {
      ASSIGN_OR_RETURN(UniqueFd fd, hierarchy.directory.Open(name, "tasks", O_WRONLY));
      join.self_join_fds.push_back(std::move(fd));
    }
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
      RETURN_IF_ERROR(Set(name, "pids", "pids.max", value, "the limit of processes", warnings));
    }
    if (limits.blkio_weight != 0) RETURN_IF_ERROR(LimitBlkio(name, limits, warnings));
    return warnings;
  }

  absl::Status Kill(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    const GroupDirectory& freezer = Best("freezer");
    // Frozen processes cannot fork away from the list; where freezing fails, repeated passes catch
    // up.
    bool frozen = Freeze(name).ok();
    absl::Status result;
    for (int pass = 0; pass < (frozen ? 1 : kKillPasses); ++pass) {
      absl::StatusOr<std::string> procs = freezer.Read(name, "cgroup.procs");
      if (!procs.ok()) {
        result = procs.status();
        break;
      }
      std::vector<pid_t> pids = ParsePids(*procs);
      if (pids.empty()) break;
      for (pid_t pid : pids) kill(pid, SIGKILL);
    }
    absl::Status thawed = Thaw(name);
    return result.ok() ? thawed : result;
  }

  absl::Status Freeze(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    const GroupDirectory* freezer = Find("freezer");
    if (freezer == nullptr)
      return absl::UnimplementedError("the freezer controller is not mounted");
    absl::Time deadline = absl::Now() + kFreezeTimeout;
    absl::Duration pause = absl::Microseconds(20);
    for (;;) {
      RETURN_IF_ERROR(freezer->Write(name, "freezer.state", "FROZEN"));
      ASSIGN_OR_RETURN(std::string state, freezer->Read(name, "freezer.state"));
      if (state == "FROZEN\n") return absl::OkStatus();
      if (absl::Now() >= deadline) break;
      // v1 has no event for this; writing again also freezes what was forked meanwhile.
      absl::SleepFor(pause);
      pause = std::min(pause * 2, absl::Milliseconds(10));
    }
    Thaw(name).IgnoreError();
    return absl::DeadlineExceededError(absl::StrCat("freeze cgroup ", name, ": not frozen in ",
                                                    absl::FormatDuration(kFreezeTimeout)));
  }

  absl::Status Thaw(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    const GroupDirectory* freezer = Find("freezer");
    return freezer == nullptr ? absl::OkStatus() : freezer->Write(name, "freezer.state", "THAWED");
  }

  absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenStats(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    return OpenCgroupV1Stats({.cpuacct = Find("cpuacct"),
                              .cpu = Find("cpu"),
                              .memory = Find("memory"),
                              .pids = Find("pids"),
                              .blkio = Find("blkio")},
                             name);
  }

  absl::StatusOr<uint64_t> ReadOomKills(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    const GroupDirectory* memory = Find("memory");
    if (memory == nullptr) return 0;
    ASSIGN_OR_RETURN(std::string text, memory->Read(name, "memory.oom_control"));
    return FindKey(ParseFlatKeyed(text), "oom_kill");
  }

  absl::StatusOr<OomWatch> WatchOom(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    const GroupDirectory* memory = Find("memory");
    if (memory == nullptr) return absl::UnimplementedError("the memory controller is not mounted");
    ASSIGN_OR_RETURN(const UniqueFd control, memory->Open(name, "memory.oom_control", O_RDONLY));
    OomWatch watch{.fd = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), .events = EPOLLIN};
    if (!watch.fd.ok()) return ErrnoStatus(errno, "make an eventfd");
    RETURN_IF_ERROR(memory->Write(name, "cgroup.event_control",
                                  absl::StrCat(watch.fd.get(), " ", control.get())));
    return watch;
  }

  absl::StatusOr<std::vector<pid_t>> ListProcesses(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    ASSIGN_OR_RETURN(std::string text, Best("pids").Read(name, "cgroup.procs"));
    return ParsePids(text);
  }

  absl::Status Remove(const std::string& name) override {
    RETURN_IF_ERROR(ValidateGroupName(name));
    absl::Status result;
    for (const Hierarchy& hierarchy : hierarchies_) {
      absl::Status removed = hierarchy.directory.Remove(name);
      if (result.ok()) result = std::move(removed);
    }
    return result;
  }

  absl::StatusOr<std::vector<std::string>> ListGroups() override {
    std::set<std::string> names;
    for (const Hierarchy& hierarchy : hierarchies_) {
      ASSIGN_OR_RETURN(std::vector<std::string> some, hierarchy.directory.List());
      names.insert(some.begin(), some.end());
    }
    return std::vector<std::string>(names.begin(), names.end());
  }

 private:
  struct Hierarchy {
    GroupDirectory directory;
    std::vector<std::string> controllers;
    std::string mount_point;
  };

  static bool IsController(const std::string& name) {
    return std::find(std::begin(kControllers), std::end(kControllers), name) !=
           std::end(kControllers);
  }

  const Hierarchy* FindHierarchy(absl::string_view controller) const {
    for (const Hierarchy& hierarchy : hierarchies_) {
      for (const std::string& name : hierarchy.controllers) {
        if (name == controller) return &hierarchy;
      }
    }
    return nullptr;
  }

  const GroupDirectory* Find(absl::string_view controller) const {
    const Hierarchy* hierarchy = FindHierarchy(controller);
    return hierarchy == nullptr ? nullptr : &hierarchy->directory;
  }

  // Every hierarchy lists the same processes.
  const GroupDirectory& Best(absl::string_view controller) const {
    const GroupDirectory* found = Find(controller);
    return found != nullptr ? *found : hierarchies_.front().directory;
  }

  // A cpuset group takes no process until it has processors and memory nodes; clone_children makes
  // the groups below start with their parent's.
  absl::Status PrepareCpuset() const {
    const Hierarchy* cpuset = FindHierarchy("cpuset");
    if (cpuset == nullptr) return absl::OkStatus();
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
      ASSIGN_OR_RETURN(std::string own, cpuset->directory.Read("", file));
      if (!absl::StripAsciiWhitespace(own).empty()) continue;
      std::string root_path = absl::StrCat("../", file);
      ASSIGN_OR_RETURN(std::string root, cpuset->directory.Read("", root_path.c_str()));
      RETURN_IF_ERROR(cpuset->directory.Write("", file, absl::StripAsciiWhitespace(root)));
    }
    return cpuset->directory.Write("", "cgroup.clone_children", "1");
  }

  absl::Status LimitDevices(const std::string& name, bool all) const {
    const GroupDirectory* devices = Find("devices");
    if (devices == nullptr || all) return absl::OkStatus();
    RETURN_IF_ERROR(devices->Write(name, "devices.deny", "a"));
    ASSIGN_OR_RETURN(UniqueFd allow, devices->Open(name, "devices.allow", O_WRONLY));
    for (const DeviceRule& rule : kDefaultDevices) {
      std::string line = FormatDeviceRule(rule);
      if (write(allow.get(), line.data(), line.size()) < 0) {
        return ErrnoStatus(errno, absl::StrCat("allow device '", line, "' in cgroup ", name));
      }
    }
    return absl::OkStatus();
  }

  // Writes a limit; where this kernel has no such file, warns.
  absl::Status Set(const std::string& name, const char* controller, const char* file,
                   const std::string& value, absl::string_view what,
                   std::vector<std::string>& warnings) const {
    const GroupDirectory* directory = Find(controller);
    absl::Status status =
        directory == nullptr ? absl::NotFoundError("") : directory->Write(name, file, value);
    if (!absl::IsNotFound(status) || (directory != nullptr && !directory->Exists(name))) {
      return status;
    }
    warnings.push_back(absl::StrCat("this kernel does not support ", what, " (", file,
                                    " is missing); it was left out"));
    return absl::OkStatus();
  }

  absl::Status LimitCpu(const std::string& name, const CgroupLimits& limits,
                        std::vector<std::string>& warnings) const {
    if (limits.cpu_shares != 0) {
      RETURN_IF_ERROR(
          Set(name, "cpu", "cpu.shares", absl::StrCat(limits.cpu_shares), "CPU shares", warnings));
    }
    int64_t period = limits.cpu_period_us;
    int64_t quota = limits.cpu_quota_us;
    if (limits.nano_cpus > 0) {
      period = kDefaultPeriodUs;
      quota = limits.nano_cpus / (1000000000 / kDefaultPeriodUs);
    }
    if (period != 0) {
      RETURN_IF_ERROR(
          Set(name, "cpu", "cpu.cfs_period_us", absl::StrCat(period), "a CPU period", warnings));
    }
    if (quota != 0) {
      RETURN_IF_ERROR(
          Set(name, "cpu", "cpu.cfs_quota_us", absl::StrCat(quota), "a CPU quota", warnings));
    }
    if (!limits.cpuset_cpus.empty()) {
      RETURN_IF_ERROR(
          Set(name, "cpuset", "cpuset.cpus", limits.cpuset_cpus, "a set of CPUs", warnings));
    }
    if (!limits.cpuset_mems.empty()) {
      RETURN_IF_ERROR(Set(name, "cpuset", "cpuset.mems", limits.cpuset_mems,
                          "a set of memory nodes", warnings));
    }
    return absl::OkStatus();
  }

  absl::Status LimitMemory(const std::string& name, const CgroupLimits& limits,
                           std::vector<std::string>& warnings) const {
    constexpr const char* kSwapFile = "memory.memsw.limit_in_bytes";
    constexpr const char* kMemoryFile = "memory.limit_in_bytes";
    const GroupDirectory* memory = Find("memory");
    int64_t swap = limits.memory_swap_bytes;
    if (swap == 0 && limits.memory_bytes > 0) swap = 2 * limits.memory_bytes;
    if (limits.memory_swap_bytes == 0 && memory != nullptr && !memory->Has(name, kSwapFile))
      swap = 0;
    std::string swap_text = absl::StrCat(swap);
    bool swap_first = false;
    if (limits.memory_bytes != 0 && memory != nullptr && swap != 0) {
      // limit <= memsw holds at every moment: whichever way it moves, the outer bound goes first
      // when growing.
      absl::StatusOr<uint64_t> now = memory->ReadNumber(name, kSwapFile);
      swap_first = now.ok() && (swap < 0 || static_cast<uint64_t>(swap) > *now);
    }
    if (swap_first) {
      RETURN_IF_ERROR(Set(name, "memory", kSwapFile, swap_text, "a limit of swap", warnings));
    }
    if (limits.memory_bytes != 0) {
      RETURN_IF_ERROR(Set(name, "memory", kMemoryFile, absl::StrCat(limits.memory_bytes),
                          "a limit of memory", warnings));
    }
    if (swap != 0 && !swap_first) {
      RETURN_IF_ERROR(Set(name, "memory", kSwapFile, swap_text, "a limit of swap", warnings));
    }
    if (limits.memory_reservation_bytes != 0) {
      RETURN_IF_ERROR(Set(name, "memory", "memory.soft_limit_in_bytes",
                          absl::StrCat(limits.memory_reservation_bytes), "a memory reservation",
                          warnings));
    }
    if (limits.oom_kill_disable) {
      RETURN_IF_ERROR(Set(name, "memory", "memory.oom_control", "1",
                          "switching off the out-of-memory killer", warnings));
    }
    return absl::OkStatus();
  }

  absl::Status LimitBlkio(const std::string& name, const CgroupLimits& limits,
                          std::vector<std::string>& warnings) const {
    const GroupDirectory* blkio = Find("blkio");
    bool bfq = blkio != nullptr && blkio->Has(name, "blkio.bfq.weight");
    return Set(name, "blkio", bfq ? "blkio.bfq.weight" : "blkio.weight",
               absl::StrCat(limits.blkio_weight), "a block I/O weight", warnings);
  }

  std::vector<Hierarchy> hierarchies_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupDriver>> NewCgroupV1Driver(const CgroupOptions& options) {
  return CgroupV1Driver::Create(options);
}

}  // namespace slipway::agent
