#ifndef RUNTIME_AGENT_KERNEL_CGROUP_STATS_H_
#define RUNTIME_AGENT_KERNEL_CGROUP_STATS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// What the kernel counts for a group.
namespace slipway::agent {

class GroupDirectory;

struct BlockIoEntry {
  uint64_t major = 0;
  uint64_t minor = 0;
  std::string operation;  // v1: "Read", "Write", "Sync" …; v2: "read", "write"
  uint64_t value = 0;
};

struct CgroupStats {
  uint64_t cpu_total_ns = 0;
  uint64_t cpu_user_ns = 0;
  uint64_t cpu_system_ns = 0;
  std::vector<uint64_t> cpu_per_core_ns;  // v1 only
  uint64_t cpu_periods = 0;
  uint64_t cpu_throttled_periods = 0;
  uint64_t cpu_throttled_ns = 0;
  uint64_t memory_usage_bytes = 0;
  uint64_t memory_peak_bytes = 0;           // zero where the kernel does not tell
  uint64_t memory_limit_bytes = 0;          // UINT64_MAX: none
  uint64_t memory_inactive_file_bytes = 0;  // `docker stats` subtracts it from the usage
  uint64_t memory_cache_bytes = 0;
  uint64_t memory_rss_bytes = 0;
  uint64_t memory_fail_count = 0;
  uint64_t oom_kills = 0;
  uint64_t pids_current = 0;
  uint64_t pids_limit = 0;  // UINT64_MAX: none
  // The fields of memory.stat as the kernel gives them.
  std::vector<std::pair<std::string, uint64_t>> memory_stat;
  std::vector<BlockIoEntry> io_bytes;
  std::vector<BlockIoEntry> io_operations;
};

// Reads one group again and again: its files stay open, so that a sample costs a system call for
// each and no path look-up. Not thread-safe.
class CgroupStatsReader {
 public:
  virtual ~CgroupStatsReader() = default;
  // NotFound when the group is gone.
  virtual absl::StatusOr<CgroupStats> Read() = 0;
};

// Hierarchies may be null: what they count stays zero. NotFound where there is no such group.
struct CgroupV1Directories {
  const GroupDirectory* cpuacct = nullptr;
  const GroupDirectory* cpu = nullptr;
  const GroupDirectory* memory = nullptr;
  const GroupDirectory* pids = nullptr;
  const GroupDirectory* blkio = nullptr;
};
absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenCgroupV1Stats(
    const CgroupV1Directories& directories, const std::string& group);
absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenCgroupV2Stats(
    const GroupDirectory& directory, const std::string& group);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_CGROUP_STATS_H_
