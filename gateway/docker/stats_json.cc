#include "gateway/docker/stats_json.h"

#include <boost/json/array.hpp>

#include "absl/strings/str_cat.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::agent::v1;

// Docker's eight tables, whether the kernel fills them or not.
constexpr const char* kTables[] = {
    "io_service_bytes_recursive", "io_serviced_recursive",  "io_queue_recursive",
    "io_service_time_recursive",  "io_wait_time_recursive", "io_merged_recursive",
    "io_time_recursive",          "sectors_recursive",
};

json::object CpuToJson(const pb::CpuStats& cpu, bool has_system) {
  json::object usage;
  usage["total_usage"] = cpu.total_ns();
  if (!cpu.per_cpu_ns().empty()) {
    json::array cores;
    for (const uint64_t core : cpu.per_cpu_ns()) cores.emplace_back(core);
    usage["percpu_usage"] = std::move(cores);
  }
  usage["usage_in_kernelmode"] = cpu.kernel_ns();
  usage["usage_in_usermode"] = cpu.user_ns();
  json::object throttling;
  throttling["periods"] = cpu.periods();
  throttling["throttled_periods"] = cpu.throttled_periods();
  throttling["throttled_time"] = cpu.throttled_ns();
  json::object out;
  out["cpu_usage"] = std::move(usage);
  if (has_system) {
    out["system_cpu_usage"] = cpu.system_ns();
    out["online_cpus"] = cpu.online_cpus();
  }
  out["throttling_data"] = std::move(throttling);
  return out;
}

json::object MemoryToJson(const pb::MemoryStats& memory, bool version_1) {
  json::object out;
  out["usage"] = memory.usage_bytes();
  if (version_1) out["max_usage"] = memory.peak_bytes();
  json::object fields;
  for (const pb::NamedCounter& field : memory.fields()) fields[field.name()] = field.value();
  out["stats"] = std::move(fields);
  if (memory.fail_count() != 0) out["failcnt"] = memory.fail_count();
  out["limit"] = memory.limit_bytes();
  return out;
}

json::object BlockIoToJson(const pb::ContainerStats& stats) {
  json::object out;
  for (const char* name : kTables) {
    out[name] = stats.running() ? json::value(json::array()) : json::value(nullptr);
  }
  for (const pb::BlockIoTable& table : stats.block_io()) {
    json::array entries;
    for (const pb::BlockIoEntry& entry : table.entries()) {
      json::object one;
      one["major"] = entry.major();
      one["minor"] = entry.minor();
      one["op"] = entry.operation();
      one["value"] = entry.value();
      entries.push_back(std::move(one));
    }
    out[table.name()] = std::move(entries);
  }
  return out;
}

json::object InterfaceToJson(const pb::InterfaceStats& interface) {
  json::object out;
  out["rx_bytes"] = interface.received_bytes();
  out["rx_packets"] = interface.received_packets();
  out["rx_errors"] = interface.received_errors();
  out["rx_dropped"] = interface.received_dropped();
  out["tx_bytes"] = interface.sent_bytes();
  out["tx_packets"] = interface.sent_packets();
  out["tx_errors"] = interface.sent_errors();
  out["tx_dropped"] = interface.sent_dropped();
  return out;
}

json::object PidsToJson(const pb::ContainerStats& stats) {
  json::object out;
  if (stats.pids_current() != 0) out["current"] = stats.pids_current();
  if (stats.pids_limit() != 0) out["limit"] = stats.pids_limit();
  return out;
}

}  // namespace

json::object StatsToJson(const pb::ContainerStats& stats, const std::string& name) {
  json::object out;
  out.reserve(16);
  out["read"] = Rfc3339Nano(stats.running() ? stats.read_unix_ns() : 0);
  out["preread"] = Rfc3339Nano(stats.previous_read_unix_ns());
  out["pids_stats"] = PidsToJson(stats);
  out["blkio_stats"] = BlockIoToJson(stats);
  out["num_procs"] = 0;
  out["storage_stats"] = json::object();
  out["cpu_stats"] = CpuToJson(stats.cpu(), stats.running());
  out["precpu_stats"] = CpuToJson(stats.previous_cpu(), stats.has_previous_cpu());
  out["memory_stats"] = stats.running()
                            ? MemoryToJson(stats.memory(), stats.cgroup_version() == "1")
                            : json::object();
  out["name"] = absl::StrCat("/", name);
  out["id"] = stats.container_id();
  if (!stats.interfaces().empty()) {
    json::object networks;
    for (const pb::InterfaceStats& one : stats.interfaces()) {
      networks[one.name()] = InterfaceToJson(one);
    }
    out["networks"] = std::move(networks);
  }
  return out;
}

}  // namespace slipway::gateway
