#include "runtime-agent/rpc/stats_watch.h"

#include <unistd.h>

#include <limits>
#include <utility>

#include "absl/time/time.h"

namespace slipway::agent {
namespace {

constexpr absl::Duration kShortestInterval = absl::Milliseconds(100);

uint64_t HostMemory() {
  static const uint64_t bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void PutCpu(const ContainerSample& from, v1::CpuStats* to) {
  const CgroupStats& counters = from.counters;
  to->set_total_ns(counters.cpu_total_ns);
  to->set_user_ns(counters.cpu_user_ns);
  to->set_kernel_ns(counters.cpu_system_ns);
  to->mutable_per_cpu_ns()->Add(counters.cpu_per_core_ns.begin(), counters.cpu_per_core_ns.end());
  to->set_system_ns(from.system_ns);
  to->set_online_cpus(from.online_cpus);
  to->set_periods(counters.cpu_periods);
  to->set_throttled_periods(counters.cpu_throttled_periods);
  to->set_throttled_ns(counters.cpu_throttled_ns);
}

void PutMemory(const CgroupStats& from, v1::MemoryStats* to) {
  to->set_usage_bytes(from.memory_usage_bytes);
  to->set_peak_bytes(from.memory_peak_bytes);
  to->set_limit_bytes(from.memory_limit_bytes == std::numeric_limits<uint64_t>::max()
                          ? HostMemory()
                          : from.memory_limit_bytes);
  to->set_fail_count(from.memory_fail_count);
  for (const auto& [name, value] : from.memory_stat) {
    v1::NamedCounter* field = to->add_fields();
    field->set_name(name);
    field->set_value(value);
  }
}

void PutTable(const char* name, const std::vector<BlockIoEntry>& from, v1::BlockIoTable* to) {
  to->set_name(name);
  for (const BlockIoEntry& one : from) {
    v1::BlockIoEntry* entry = to->add_entries();
    entry->set_major(one.major);
    entry->set_minor(one.minor);
    entry->set_operation(one.operation);
    entry->set_value(one.value);
  }
}

void PutInterface(const InterfaceCounters& from, v1::InterfaceStats* to) {
  to->set_name(from.name);
  to->set_received_bytes(from.received[0]);
  to->set_received_packets(from.received[1]);
  to->set_received_errors(from.received[2]);
  to->set_received_dropped(from.received[3]);
  to->set_sent_bytes(from.sent[0]);
  to->set_sent_packets(from.sent[1]);
  to->set_sent_errors(from.sent[2]);
  to->set_sent_dropped(from.sent[3]);
}

void PutSample(const SamplePair& pair, const std::string& version, v1::ContainerStats* to) {
  const ContainerSample& from = *pair.now;
  to->set_container_id(from.id);
  to->set_running(from.running);
  to->set_read_unix_ns(from.read_ns);
  to->set_cgroup_version(version);
  if (!from.running) return;
  PutCpu(from, to->mutable_cpu());
  if (pair.previous != nullptr && pair.previous->running) {
    PutCpu(*pair.previous, to->mutable_previous_cpu());
    to->set_previous_read_unix_ns(pair.previous->read_ns);
  }
  PutMemory(from.counters, to->mutable_memory());
  to->set_pids_current(from.counters.pids_current);
  if (from.counters.pids_limit != std::numeric_limits<uint64_t>::max()) {
    to->set_pids_limit(from.counters.pids_limit);
  }
  PutTable("io_service_bytes_recursive", from.counters.io_bytes, to->add_block_io());
  PutTable("io_serviced_recursive", from.counters.io_operations, to->add_block_io());
  for (const InterfaceCounters& one : from.interfaces) PutInterface(one, to->add_interfaces());
}

}  // namespace

StatsWatch* StatsWatch::Start(StatsSampler* sampler, const v1::WatchStatsRequest& request,
                              std::string cgroup_version) {
  absl::Duration interval = absl::Nanoseconds(request.interval_ns());
  if (interval > absl::ZeroDuration()) interval = std::max(interval, kShortestInterval);
  std::shared_ptr<StatsWatch> watch(
      new StatsWatch(std::move(cgroup_version), interval <= absl::ZeroDuration()));
  {
    absl::MutexLock lock(&watch->mutex_);
    watch->self_ = watch;
  }
  sampler->Watch({request.container_ids().begin(), request.container_ids().end()}, interval,
                 request.without_previous(),
                 [watch](const std::vector<SamplePair>& samples) { return watch->Send(samples); });
  return watch.get();
}

bool StatsWatch::Send(const std::vector<SamplePair>& samples) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return false;
  if (writing_) return true;
  message_.Clear();
  for (const SamplePair& pair : samples) {
    PutSample(pair, cgroup_version_, message_.add_containers());
  }
  writing_ = true;
  StartWrite(&message_);
  return true;
}

void StatsWatch::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (!ok) End(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
  if (ok && once_) End(grpc::Status::OK);
}

void StatsWatch::OnCancel() {
  absl::MutexLock lock(&mutex_);
  End(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
}

void StatsWatch::End(const grpc::Status& status) {
  if (ended_) return;
  ended_ = true;
  Finish(status);
}

void StatsWatch::OnDone() {
  std::shared_ptr<StatsWatch> last;
  absl::MutexLock lock(&mutex_);
  ended_ = true;
  last = std::move(self_);
}

}  // namespace slipway::agent
