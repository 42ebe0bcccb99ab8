#include "gateway/docker/host_config_json.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gateway/docker/json_build.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

constexpr int64_t kDefaultShmBytes = int64_t{64} << 20;

// Docker's defaults for a container that is not privileged.
constexpr const char* kMaskedPaths[] = {
    "/proc/asound",     "/proc/acpi",        "/proc/interrupts",
    "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
constexpr const char* kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                          "/proc/sysrq-trigger"};

json::value OrNull(const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (list.empty()) return nullptr;
  return StringArray(list);
}

json::object RestartPolicy(const pb::RestartPolicy& policy) {
  const char* name = "no";
  if (policy.mode() == pb::RestartPolicy::MODE_ALWAYS) name = "always";
  if (policy.mode() == pb::RestartPolicy::MODE_ON_FAILURE) name = "on-failure";
  if (policy.mode() == pb::RestartPolicy::MODE_UNLESS_STOPPED) name = "unless-stopped";
  return {{"Name", name}, {"MaximumRetryCount", policy.maximum_retries()}};
}

json::object LogConfig(const pb::LogPolicy& log) {
  json::object options;
  for (const auto& [key, value] :
       std::map<std::string, std::string>(log.options().begin(), log.options().end())) {
    options.emplace(key, value);
  }
  // docker-py reads the output of no driver but this one and journald.
  return {{"Type", log.driver().empty() ? "json-file" : log.driver()},
          {"Config", std::move(options)}};
}

json::array Ulimits(const pb::ContainerSpec& spec) {
  json::array list;
  for (const pb::Ulimit& limit : spec.ulimits()) {
    list.push_back(
        json::object{{"Name", limit.name()}, {"Hard", limit.hard()}, {"Soft", limit.soft()}});
  }
  return list;
}

json::value Binds(const pb::ContainerSpec& spec) {
  json::array list;
  for (const pb::Mount& mount : spec.mounts()) {
    if (mount.type() != pb::Mount::TYPE_BIND || !mount.create_source()) continue;
    std::string text = absl::StrCat(mount.source(), ":", mount.target());
    if (mount.read_only()) text += ":ro";
    list.emplace_back(text);
  }
  if (list.empty()) return nullptr;
  return list;
}

std::string HostPort(const pb::PortBinding& port) {
  if (port.host_port() == 0) return "";
  if (port.host_port_last() == 0) return absl::StrCat(port.host_port());
  return absl::StrCat(port.host_port(), "-", port.host_port_last());
}

json::object PortBindings(const pb::Network& network) {
  json::object bindings;
  for (const pb::PortBinding& port : network.ports()) {
    const std::string key = absl::StrCat(port.container_port(), "/", port.protocol());
    json::value& list = bindings.emplace(key, json::array()).first->value();
    list.as_array().push_back(
        json::object{{"HostIp", port.host_address()}, {"HostPort", HostPort(port)}});
  }
  return bindings;
}

json::value SecurityOptions(const pb::Security& security) {
  json::array list;
  if (security.no_new_privileges()) list.emplace_back("no-new-privileges");
  if (!security.seccomp_profile().empty()) {
    list.emplace_back(absl::StrCat("seccomp=", security.seccomp_profile()));
  }
  if (list.empty()) return nullptr;
  return list;
}

template <size_t N>
json::value Paths(bool is_set, const pb::StringList& list, bool privileged,
                  const char* const (&defaults)[N]) {
  if (is_set) return StringArray(list.values());
  if (privileged) return nullptr;
  json::array paths;
  for (const char* path : defaults) paths.emplace_back(path);
  return paths;
}

void AddGeneral(const pb::ContainerSpec& spec, json::object& out) {
  out["Binds"] = Binds(spec);
  out["ContainerIDFile"] = "";
  out["LogConfig"] = LogConfig(spec.log());
  out["NetworkMode"] = NetworkModeOf(spec);
  out["PortBindings"] = PortBindings(spec.network());
  out["RestartPolicy"] = RestartPolicy(spec.restart_policy());
  out["AutoRemove"] = spec.auto_remove();
  out["VolumeDriver"] = "";
  out["VolumesFrom"] = nullptr;
  out["ConsoleSize"] = json::array{spec.terminal_size().rows(), spec.terminal_size().columns()};
  out["CapAdd"] = OrNull(spec.security().cap_add());
  out["CapDrop"] = OrNull(spec.security().cap_drop());
  out["CgroupnsMode"] = spec.namespaces().cgroup().empty() ? "private" : spec.namespaces().cgroup();
  out["Dns"] = StringArray(spec.network().dns_servers());
  out["DnsOptions"] = StringArray(spec.network().dns_options());
  out["DnsSearch"] = StringArray(spec.network().dns_search());
  out["ExtraHosts"] = OrNull(spec.network().extra_hosts());
  out["GroupAdd"] = OrNull(spec.additional_groups());
  out["IpcMode"] = spec.namespaces().ipc().empty() ? "private" : spec.namespaces().ipc();
  out["Cgroup"] = "";
  out["Links"] = nullptr;
  out["OomScoreAdj"] = spec.resources().oom_score_adj();
  out["PidMode"] = spec.namespaces().pid();
  out["Privileged"] = spec.security().privileged();
  out["PublishAllPorts"] = spec.network().publish_all_ports();
  out["ReadonlyRootfs"] = spec.read_only_root();
  out["SecurityOpt"] = SecurityOptions(spec.security());
  out["UTSMode"] = spec.namespaces().uts();
  out["UsernsMode"] = spec.namespaces().user();
  out["ShmSize"] = spec.shm_size_bytes() == 0 ? kDefaultShmBytes : spec.shm_size_bytes();
  out["Runtime"] = "slipway";
  out["Isolation"] = "";
}

void AddResources(const pb::ContainerSpec& spec, json::object& out) {
  const pb::Resources& resources = spec.resources();
  out["CpuShares"] = resources.cpu_shares();
  out["Memory"] = resources.memory_bytes();
  out["NanoCpus"] = resources.nano_cpus();
  out["CgroupParent"] = resources.cgroup_parent();
  out["BlkioWeight"] = resources.blkio_weight();
  out["BlkioWeightDevice"] = json::array();
  out["BlkioDeviceReadBps"] = json::array();
  out["BlkioDeviceWriteBps"] = json::array();
  out["BlkioDeviceReadIOps"] = json::array();
  out["BlkioDeviceWriteIOps"] = json::array();
  out["CpuPeriod"] = resources.cpu_period_us();
  out["CpuQuota"] = resources.cpu_quota_us();
  out["CpuRealtimePeriod"] = 0;
  out["CpuRealtimeRuntime"] = 0;
  out["CpusetCpus"] = resources.cpuset_cpus();
  out["CpusetMems"] = resources.cpuset_mems();
  out["Devices"] = json::array();
  out["DeviceCgroupRules"] = nullptr;
  out["DeviceRequests"] = nullptr;
  out["MemoryReservation"] = resources.memory_reservation_bytes();
  // dockerd allows as much swap as memory where the client says nothing.
  out["MemorySwap"] = resources.memory_swap_bytes() == 0 && resources.memory_bytes() > 0
                          ? 2 * resources.memory_bytes()
                          : resources.memory_swap_bytes();
  out["MemorySwappiness"] = resources.has_memory_swappiness()
                                ? json::value(resources.memory_swappiness())
                                : json::value(nullptr);
  out["OomKillDisable"] = resources.oom_kill_disable();
  out["PidsLimit"] =
      resources.pids_limit() > 0 ? json::value(resources.pids_limit()) : json::value(nullptr);
  out["Ulimits"] = Ulimits(spec);
  out["CpuCount"] = 0;
  out["CpuPercent"] = 0;
  out["IOMaximumIOps"] = 0;
  out["IOMaximumBandwidth"] = 0;
}

// As dockerd: processes that see the host's cannot have labels of their own.
void AddLabelDisable(const pb::ContainerSpec& spec, json::object& out) {
  if (spec.namespaces().pid() != "host" && spec.namespaces().ipc() != "host" &&
      !spec.security().privileged()) {
    return;
  }
  json::value& options = out["SecurityOpt"];
  if (!options.is_array()) options = json::array();
  for (const json::value& option : options.get_array()) {
    if (option.is_string() && option.get_string().starts_with("label")) return;
  }
  options.get_array().emplace_back("label=disable");
}

// What an update changes: the client's first wish says nothing of it.
bool IsUpdated(absl::string_view name) {
  static constexpr absl::string_view kUpdated[] = {
      "BlkioWeight", "CpuPeriod",         "CpuQuota",   "CpuShares", "CpusetCpus", "CpusetMems",
      "Memory",      "MemoryReservation", "MemorySwap", "NanoCpus",  "PidsLimit",  "RestartPolicy"};
  return std::find(std::begin(kUpdated), std::end(kUpdated), name) != std::end(kUpdated);
}

}  // namespace

std::string NetworkModeOf(const pb::ContainerSpec& spec) {
  return spec.network().mode().empty() ? "default" : spec.network().mode();
}

json::object HostConfigToJson(const pb::ContainerSpec& spec, const json::object* original) {
  json::object out;
  out.reserve(72);
  AddGeneral(spec, out);
  AddResources(spec, out);
  if (!spec.sysctls().empty()) out["Sysctls"] = StringMap(spec.sysctls());
  if (!spec.annotations().empty()) out["Annotations"] = StringMap(spec.annotations());
  if (spec.init()) out["Init"] = true;
  const pb::Security& security = spec.security();
  out["MaskedPaths"] = Paths(security.has_masked_paths(), security.masked_paths(),
                             security.privileged(), kMaskedPaths);
  out["ReadonlyPaths"] = Paths(security.has_read_only_paths(), security.read_only_paths(),
                               security.privileged(), kReadonlyPaths);
  if (original != nullptr) {
    for (const auto& member : *original) {
      // -1 is how clients say "not set", and dockerd gives null back.
      if (member.key() == "MemorySwappiness" || member.key() == "PidsLimit") continue;
      // A list of ports without bindings was completed in the spec.
      if (member.key() == "PortBindings") continue;
      if (IsUpdated({member.key().data(), member.key().size()})) continue;
      out[member.key()] = member.value();
    }
  }
  AddLabelDisable(spec, out);
  return out;
}

}  // namespace slipway::gateway
