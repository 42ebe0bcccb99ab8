#ifndef RUNTIME_AGENT_KERNEL_CGROUP_H_
#define RUNTIME_AGENT_KERNEL_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/kernel/cgroup_stats.h"

// Control groups, version 1, 2 and the hybrid of both, behind one interface. Groups live in
// /<prefix>/<name> below the root of each hierarchy; nothing else is touched.
namespace slipway::agent {

// Zero (or empty) means: no limit, the kernel's default.
struct CgroupLimits {
  int64_t nano_cpus = 0;  // 1e9: one core; excludes cpu_quota_us
  int64_t cpu_shares = 0;
  int64_t cpu_quota_us = 0;
  int64_t cpu_period_us = 0;
  std::string cpuset_cpus;  // "0-2,7"
  std::string cpuset_mems;
  int64_t memory_bytes = 0;
  int64_t memory_swap_bytes = 0;  // memory and swap together; -1: unlimited; 0: twice the memory
  int64_t memory_reservation_bytes = 0;
  int64_t pids_limit = 0;  // -1 is also unlimited
  bool oom_kill_disable = false;
  uint32_t blkio_weight = 0;  // 10 to 1000
  // Every device (privileged). Otherwise only those that Docker's containers may use.
  bool all_devices = false;
};

// How a process gets into a group. A child that has one thread writes "0" to each of
// `self_join_fds` (v1) before exec; clone3 gets `clone_into_fd` with CLONE_INTO_CGROUP (v2) where
// it is >= 0. v1 descriptors are of `tasks`, not `cgroup.procs`: a thread that moves itself by
// `tasks` spares the kernel the lock of all thread groups, whose first taker waits for an RCU grace
// period (7 ms against 0.04 ms measured on Linux 6.18).
struct CgroupJoin {
  std::vector<UniqueFd> self_join_fds;
  UniqueFd clone_into_fd;
};

// Readiness that says: a group ran out of memory since the descriptor was last read.
struct OomWatch {
  UniqueFd fd;
  uint32_t events = 0;  // of epoll
};

class CgroupDriver;

// A group that removes itself on destruction unless released. Move-only. Must not outlive its
// driver.
class CgroupLease {
 public:
  CgroupLease() = default;
  CgroupLease(CgroupDriver* driver, std::string name, CgroupJoin join,
              std::vector<std::string> warnings)
      : driver_(driver),
        name_(std::move(name)),
        join_(std::move(join)),
        warnings_(std::move(warnings)) {}
  CgroupLease(CgroupLease&& other) noexcept { *this = std::move(other); }
  CgroupLease& operator=(CgroupLease&& other) noexcept;
  ~CgroupLease();

  bool ok() const { return driver_ != nullptr; }
  const std::string& name() const { return name_; }
  const CgroupJoin& join() const { return join_; }
  // What of the limits this kernel cannot do.
  const std::vector<std::string>& warnings() const { return warnings_; }
  // The group stays (the record that owns it is saved). Closes the join descriptors, returns the
  // name.
  std::string Release();

 private:
  CgroupDriver* driver_ = nullptr;
  std::string name_;
  CgroupJoin join_;
  std::vector<std::string> warnings_;
};

// Thread-safe. A `name` is one path component that does not start with '.' or contain '/'. Every
// method of one group may be called again after a crash: NotFound says that there is no such group.
class CgroupDriver {
 public:
  virtual ~CgroupDriver() = default;

  // "1" or "2"; hybrid is "1".
  virtual std::string version() const = 0;

  // Makes the group with its limits; an existing one without processes is taken over.
  virtual absl::StatusOr<CgroupLease> CreateGroup(const std::string& name,
                                                  const CgroupLimits& limits) = 0;
  // For a further process of a group (exec).
  virtual absl::StatusOr<CgroupJoin> OpenJoin(const std::string& name) = 0;
  // Sets every limit that is not zero. Returns warnings. On failure limits may be half set.
  virtual absl::StatusOr<std::vector<std::string>> ApplyLimits(const std::string& name,
                                                               const CgroupLimits& limits) = 0;
  // SIGKILL to all processes, also frozen ones and those being forked. Does not wait for their end.
  virtual absl::Status Kill(const std::string& name) = 0;
  // Freeze returns when all are frozen, DeadlineExceeded after 2 s.
  virtual absl::Status Freeze(const std::string& name) = 0;
  virtual absl::Status Thaw(const std::string& name) = 0;
  virtual absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenStats(const std::string& name) = 0;
  // One sample.
  absl::StatusOr<CgroupStats> ReadStats(const std::string& name);
  // Processes the kernel killed for memory since the group was made. Ask before Remove.
  virtual absl::StatusOr<uint64_t> ReadOomKills(const std::string& name) = 0;
  // v1 tells before the kernel kills, and once more when the group is removed.
  virtual absl::StatusOr<OomWatch> WatchOom(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<pid_t>> ListProcesses(const std::string& name) = 0;
  // Retries while dying processes keep the group busy, at most 1 s; then Unavailable.
  // OK when there was none.
  virtual absl::Status Remove(const std::string& name) = 0;
  // Names of all groups under our prefix, in any hierarchy.
  virtual absl::StatusOr<std::vector<std::string>> ListGroups() = 0;
};

struct CgroupOptions {
  std::string prefix = "slipway";
  // Found in mountinfo when empty; tests give a directory with the layout of /sys/fs/cgroup.
  std::string v2_root;
};

// The driver for this machine: v2 where the v2 hierarchy has the memory or pids controller, v1
// otherwise. FailedPrecondition where neither is mounted.
absl::StatusOr<std::unique_ptr<CgroupDriver>> DetectCgroupDriver(const CgroupOptions& options);

// One of the two, for hosts and tests that must not guess.
absl::StatusOr<std::unique_ptr<CgroupDriver>> NewCgroupV1Driver(const CgroupOptions& options);
absl::StatusOr<std::unique_ptr<CgroupDriver>> NewCgroupV2Driver(const CgroupOptions& options);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_CGROUP_H_
