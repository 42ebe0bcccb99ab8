#include "runtime-agent/kernel/cgroup_stats.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/cgroup_files.h"

namespace slipway::agent {
namespace {

constexpr size_t kFirstReadBytes = 8 << 10;
constexpr size_t kFileLimitBytes = 1 << 20;

// A file that is read from its beginning each time.
class StatFile {
 public:
  // A file that this kernel does not have reads as empty.
  static absl::StatusOr<StatFile> Open(const GroupDirectory* directory, const std::string& group,
                                       const char* name) {
    StatFile file;
    if (directory == nullptr) return file;
    auto fd = directory->Open(group, name, O_RDONLY);
    if (fd.ok()) {
      file.fd_ = *std::move(fd);
    } else if (!absl::IsNotFound(fd.status()) || !directory->Exists(group)) {
      return fd.status();
    }
    return file;
  }

  bool ok() const { return fd_.ok(); }

  // Valid until the next call with the same buffer.
  absl::StatusOr<absl::string_view> Read(std::string& buffer) const {
    if (!fd_.ok()) return absl::string_view();
    if (buffer.size() < kFirstReadBytes) buffer.resize(kFirstReadBytes);
    size_t size = 0;
    while (true) {
      const ssize_t got =
          pread(fd_.get(), buffer.data() + size, buffer.size() - size, static_cast<off_t>(size));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == ENODEV) return absl::NotFoundError("the cgroup is gone");
      if (got < 0) return ErrnoStatus(errno, "read a file of a cgroup");
      size += static_cast<size_t>(got);
      // What fits leaves room: the next read would only say that this is the end.
      if (got == 0 || size < buffer.size()) return absl::string_view(buffer.data(), size);
      if (size >= kFileLimitBytes) return absl::ResourceExhaustedError("a cgroup file is too long");
      buffer.resize(2 * buffer.size());
    }
  }

  absl::StatusOr<uint64_t> ReadNumber(std::string& buffer) const {
    ASSIGN_OR_RETURN(const absl::string_view text, Read(buffer));
    return ParseCgroupNumber(text);
  }

 private:
  UniqueFd fd_;
};

#define OPEN_STAT(directory, name, file) \
  ASSIGN_OR_RETURN(file, StatFile::Open(directory, group, name))

class V1Reader : public CgroupStatsReader {
 public:
  absl::Status Open(const CgroupV1Directories& from, const std::string& group) {
    OPEN_STAT(from.cpuacct, "cpuacct.usage_percpu", usage_);
    OPEN_STAT(from.cpuacct, "cpuacct.usage_all", split_);
    OPEN_STAT(from.cpu, "cpu.stat", throttling_);
    OPEN_STAT(from.memory, "memory.usage_in_bytes", memory_usage_);
    OPEN_STAT(from.memory, "memory.max_usage_in_bytes", memory_peak_);
    OPEN_STAT(from.memory, "memory.limit_in_bytes", memory_limit_);
    OPEN_STAT(from.memory, "memory.failcnt", memory_failures_);
    OPEN_STAT(from.memory, "memory.stat", memory_stat_);
    OPEN_STAT(from.memory, "memory.oom_control", oom_);
    OPEN_STAT(from.pids, "pids.current", pids_);
    OPEN_STAT(from.pids, "pids.max", pids_limit_);
    OPEN_STAT(from.blkio, "blkio.throttle.io_service_bytes_recursive", io_bytes_);
    OPEN_STAT(from.blkio, "blkio.throttle.io_serviced_recursive", io_operations_);
    return absl::OkStatus();
  }

  absl::StatusOr<CgroupStats> Read() override {
    CgroupStats stats;
    RETURN_IF_ERROR(ReadCpu(stats));
    RETURN_IF_ERROR(ReadMemory(stats));
    ASSIGN_OR_RETURN(stats.pids_current, pids_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.pids_limit, pids_limit_.ReadNumber(buffer_));
    RETURN_IF_ERROR(ReadBlockIo(io_bytes_, stats.io_bytes));
    RETURN_IF_ERROR(ReadBlockIo(io_operations_, stats.io_operations));
    return stats;
  }

 private:
  absl::Status ReadCpu(CgroupStats& stats) {
    ASSIGN_OR_RETURN(const absl::string_view usage, usage_.Read(buffer_));
    for (const absl::string_view core :
         absl::StrSplit(usage, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
      stats.cpu_per_core_ns.push_back(ParseCgroupNumber(core));
      stats.cpu_total_ns += stats.cpu_per_core_ns.back();
    }
    // "cpu user system", then a line for each; counted by ticks, unlike the total.
    ASSIGN_OR_RETURN(const absl::string_view split, split_.Read(buffer_));
    for (const absl::string_view line : absl::StrSplit(split, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
      uint64_t user = 0;
      uint64_t system = 0;
      if (fields.size() != 3 || !absl::SimpleAtoi(fields[1], &user) ||
          !absl::SimpleAtoi(fields[2], &system)) {
        continue;
      }
      stats.cpu_user_ns += user;
      stats.cpu_system_ns += system;
    }
    ASSIGN_OR_RETURN(const absl::string_view throttling, throttling_.Read(buffer_));
    const auto fields = ParseFlatKeyed(throttling);
    stats.cpu_periods = FindKey(fields, "nr_periods");
    stats.cpu_throttled_periods = FindKey(fields, "nr_throttled");
    stats.cpu_throttled_ns = FindKey(fields, "throttled_time");
    return absl::OkStatus();
  }

  absl::Status ReadMemory(CgroupStats& stats) {
    ASSIGN_OR_RETURN(stats.memory_usage_bytes, memory_usage_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.memory_peak_bytes, memory_peak_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.memory_limit_bytes, memory_limit_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.memory_fail_count, memory_failures_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(const absl::string_view text, memory_stat_.Read(buffer_));
    stats.memory_stat = ParseFlatKeyed(text);
    stats.memory_inactive_file_bytes = FindKey(stats.memory_stat, "total_inactive_file");
    stats.memory_cache_bytes = FindKey(stats.memory_stat, "total_cache");
    stats.memory_rss_bytes = FindKey(stats.memory_stat, "total_rss");
    ASSIGN_OR_RETURN(const absl::string_view oom, oom_.Read(buffer_));
    stats.oom_kills = FindKey(ParseFlatKeyed(oom), "oom_kill");
    return absl::OkStatus();
  }

  // "8:0 Read 4096", and a total of all devices that nobody needs.
  absl::Status ReadBlockIo(const StatFile& file, std::vector<BlockIoEntry>& entries) {
    ASSIGN_OR_RETURN(const absl::string_view text, file.Read(buffer_));
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
      if (fields.size() != 3) continue;
      const std::pair<absl::string_view, absl::string_view> device =
          absl::StrSplit(fields[0], absl::MaxSplits(':', 1));
      BlockIoEntry entry{.operation = std::string(fields[1])};
      if (absl::SimpleAtoi(device.first, &entry.major) &&
          absl::SimpleAtoi(device.second, &entry.minor) &&
          absl::SimpleAtoi(fields[2], &entry.value)) {
        entries.push_back(std::move(entry));
      }
    }
    return absl::OkStatus();
  }

  std::string buffer_;
  StatFile usage_;
  StatFile split_;
  StatFile throttling_;
  StatFile memory_usage_;
  StatFile memory_peak_;
  StatFile memory_limit_;
  StatFile memory_failures_;
  StatFile memory_stat_;
  StatFile oom_;
  StatFile pids_;
  StatFile pids_limit_;
  StatFile io_bytes_;
  StatFile io_operations_;
};

class V2Reader : public CgroupStatsReader {
 public:
  absl::Status Open(const GroupDirectory& from, const std::string& group) {
    OPEN_STAT(&from, "cpu.stat", cpu_);
    OPEN_STAT(&from, "memory.current", memory_usage_);
    OPEN_STAT(&from, "memory.peak", memory_peak_);  // Linux 5.19 on
    OPEN_STAT(&from, "memory.max", memory_limit_);
    OPEN_STAT(&from, "memory.stat", memory_stat_);
    OPEN_STAT(&from, "memory.events", memory_events_);
    OPEN_STAT(&from, "pids.current", pids_);
    OPEN_STAT(&from, "pids.max", pids_limit_);
    OPEN_STAT(&from, "io.stat", io_);
    return absl::OkStatus();
  }

  absl::StatusOr<CgroupStats> Read() override {
    CgroupStats stats;
    ASSIGN_OR_RETURN(const absl::string_view cpu, cpu_.Read(buffer_));
    const auto fields = ParseFlatKeyed(cpu);
    stats.cpu_total_ns = FindKey(fields, "usage_usec") * 1000;
    stats.cpu_user_ns = FindKey(fields, "user_usec") * 1000;
    stats.cpu_system_ns = FindKey(fields, "system_usec") * 1000;
    stats.cpu_periods = FindKey(fields, "nr_periods");
    stats.cpu_throttled_periods = FindKey(fields, "nr_throttled");
    stats.cpu_throttled_ns = FindKey(fields, "throttled_usec") * 1000;
    RETURN_IF_ERROR(ReadMemory(stats));
    ASSIGN_OR_RETURN(stats.pids_current, pids_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.pids_limit, pids_limit_.ReadNumber(buffer_));
    RETURN_IF_ERROR(ReadBlockIo(stats));
    return stats;
  }

 private:
  absl::Status ReadMemory(CgroupStats& stats) {
    ASSIGN_OR_RETURN(stats.memory_usage_bytes, memory_usage_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.memory_peak_bytes, memory_peak_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(stats.memory_limit_bytes, memory_limit_.ReadNumber(buffer_));
    ASSIGN_OR_RETURN(const absl::string_view text, memory_stat_.Read(buffer_));
    stats.memory_stat = ParseFlatKeyed(text);
    stats.memory_inactive_file_bytes = FindKey(stats.memory_stat, "inactive_file");
    stats.memory_cache_bytes = FindKey(stats.memory_stat, "file");
    stats.memory_rss_bytes = FindKey(stats.memory_stat, "anon");
    ASSIGN_OR_RETURN(const absl::string_view events, memory_events_.Read(buffer_));
    const auto fields = ParseFlatKeyed(events);
    stats.memory_fail_count = FindKey(fields, "max");
    stats.oom_kills = FindKey(fields, "oom_kill");
    return absl::OkStatus();
  }

  // "8:0 rbytes=90112 wbytes=0 rios=11 wios=0 dbytes=0 dios=0"
  absl::Status ReadBlockIo(CgroupStats& stats) {
    ASSIGN_OR_RETURN(const absl::string_view text, io_.Read(buffer_));
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
      const std::pair<absl::string_view, absl::string_view> device =
          absl::StrSplit(fields[0], absl::MaxSplits(':', 1));
      BlockIoEntry entry;
      if (!absl::SimpleAtoi(device.first, &entry.major) ||
          !absl::SimpleAtoi(device.second, &entry.minor)) {
        continue;
      }
      for (const absl::string_view field : fields) {
        const std::pair<absl::string_view, absl::string_view> pair =
            absl::StrSplit(field, absl::MaxSplits('=', 1));
        if (!absl::SimpleAtoi(pair.second, &entry.value)) continue;
        entry.operation = pair.first[0] == 'r' ? "read" : "write";
        if (pair.first == "rbytes" || pair.first == "wbytes") stats.io_bytes.push_back(entry);
        if (pair.first == "rios" || pair.first == "wios") stats.io_operations.push_back(entry);
      }
    }
    return absl::OkStatus();
  }

  std::string buffer_;
  StatFile cpu_;
  StatFile memory_usage_;
  StatFile memory_peak_;
  StatFile memory_limit_;
  StatFile memory_stat_;
  StatFile memory_events_;
  StatFile pids_;
  StatFile pids_limit_;
  StatFile io_;
};

#undef OPEN_STAT

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenCgroupV1Stats(
    const CgroupV1Directories& directories, const std::string& group) {
  auto reader = std::make_unique<V1Reader>();
  RETURN_IF_ERROR(reader->Open(directories, group));
  return reader;
}

absl::StatusOr<std::unique_ptr<CgroupStatsReader>> OpenCgroupV2Stats(
    const GroupDirectory& directory, const std::string& group) {
  auto reader = std::make_unique<V2Reader>();
  RETURN_IF_ERROR(reader->Open(directory, group));
  return reader;
}

}  // namespace slipway::agent
