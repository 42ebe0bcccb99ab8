#include "gateway/docker/create_host_config.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "gateway/docker/create_mounts.h"
#include "gateway/docker/json_fields.h"
#include "gateway/docker/restart_policy.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

template <typename List>
void AddAll(std::vector<std::string> values, List* list) {
  for (std::string& value : values) *list->Add() = std::move(value);
}

absl::Status ReadResources(JsonFields& fields, pb::ContainerSpec& spec) {
  pb::Resources& resources = *spec.mutable_resources();
  resources.set_nano_cpus(fields.Int("NanoCpus"));
  resources.set_cpu_shares(fields.Int("CpuShares"));
  resources.set_cpu_quota_us(fields.Int("CpuQuota"));
  resources.set_cpu_period_us(fields.Int("CpuPeriod"));
  resources.set_cpuset_cpus(fields.String("CpusetCpus"));
  resources.set_cpuset_mems(fields.String("CpusetMems"));
  resources.set_memory_bytes(fields.Int("Memory"));
  resources.set_memory_swap_bytes(fields.Int("MemorySwap"));
  resources.set_memory_reservation_bytes(fields.Int("MemoryReservation"));
  // Docker takes 0 and -1 for "unlimited".
  resources.set_pids_limit(std::max<int64_t>(0, fields.Int("PidsLimit")));
  const int64_t score = fields.Int("OomScoreAdj");
  if (score < -1000 || score > 1000) {
    fields.Fail("OomScoreAdj", absl::StrCat(score, " is not in [-1000, 1000]"));
  }
  resources.set_oom_score_adj(static_cast<int32_t>(score));
  resources.set_oom_kill_disable(fields.Bool("OomKillDisable"));
  resources.set_cgroup_parent(fields.String("CgroupParent"));
  const int64_t weight = fields.Int("BlkioWeight");
  if (weight != 0 && (weight < 10 || weight > 1000)) {
    fields.Fail("BlkioWeight", absl::StrCat(weight, " is not in [10, 1000]"));
  }
  resources.set_blkio_weight(static_cast<uint32_t>(weight));
  // -1 is how clients say "not set".
  if (fields.Int("MemorySwappiness", -1) != -1) fields.Refuse("MemorySwappiness");
  return fields.status();
}

absl::Status ReadSecurityOption(absl::string_view option, pb::Security& security) {
  const size_t separator = option.find_first_of("=:");
  const absl::string_view name = option.substr(0, separator);
  const absl::string_view value =
      separator == absl::string_view::npos ? "" : option.substr(separator + 1);
  if (name == "no-new-privileges") {
    if (!value.empty() && value != "true" && value != "false") {
      return absl::InvalidArgumentError(absl::StrCat("invalid --security-opt: \"", option, "\""));
    }
    security.set_no_new_privileges(value != "false");
    return absl::OkStatus();
  }
  if (name == "seccomp") {
    if (value != "builtin") security.set_seccomp_profile(std::string(value));
    return absl::OkStatus();
  }
  // Neither exists on a host of ours, so that switching it off changes nothing.
  if (name == "apparmor" && (value == "unconfined" || value.empty())) return absl::OkStatus();
  if (name == "label" && value == "disable") return absl::OkStatus();
  if (name == "apparmor" || name == "label" || name == "writable-cgroups") {
    return absl::UnimplementedError(
        absl::StrCat("option HostConfig.SecurityOpt \"", option, "\" is not supported"));
  }
  return absl::InvalidArgumentError(absl::StrCat("invalid --security-opt 1: \"", option, "\""));
}

absl::Status ReadSecurity(JsonFields& fields, pb::ContainerSpec& spec) {
  pb::Security& security = *spec.mutable_security();
  security.set_privileged(fields.Bool("Privileged"));
  AddAll(fields.Words("CapAdd").value_or(std::vector<std::string>()), security.mutable_cap_add());
  AddAll(fields.Words("CapDrop").value_or(std::vector<std::string>()), security.mutable_cap_drop());
  for (const std::string& option : fields.Strings("SecurityOpt")) {
    RETURN_IF_ERROR(ReadSecurityOption(option, security));
  }
  if (fields.Find("MaskedPaths") != nullptr) {
    AddAll(fields.Strings("MaskedPaths"), security.mutable_masked_paths()->mutable_values());
  }
  if (fields.Find("ReadonlyPaths") != nullptr) {
    AddAll(fields.Strings("ReadonlyPaths"), security.mutable_read_only_paths()->mutable_values());
  }
  return fields.status();
}

absl::Status ReadNamespaces(JsonFields& fields, pb::ContainerSpec& spec) {
  pb::Namespaces& namespaces = *spec.mutable_namespaces();
  namespaces.set_pid(fields.String("PidMode"));
  namespaces.set_ipc(fields.String("IpcMode"));
  namespaces.set_uts(fields.String("UTSMode"));
  namespaces.set_cgroup(fields.String("CgroupnsMode"));
  namespaces.set_user(fields.String("UsernsMode"));
  return fields.status();
}

absl::Status ReadPortBinding(const json::value& item, const PortRange& port, absl::string_view name,
                             pb::Network& network) {
  if (!item.is_object()) {
    return absl::InvalidArgumentError("invalid JSON: HostConfig.PortBindings must be objects");
  }
  JsonFields fields(item.get_object(), absl::StrCat("HostConfig.PortBindings.", name));
  pb::PortBinding& binding = *network.add_ports();
  binding.set_container_port(port.first);
  binding.set_protocol(port.protocol);
  binding.set_host_address(fields.String("HostIp"));
  const std::string host_port = fields.String("HostPort");
  RETURN_IF_ERROR(fields.status());
  if (host_port.empty()) return absl::OkStatus();
  uint32_t number = 0;
  if (absl::SimpleAtoi(host_port, &number) && number <= 65535) {
    binding.set_host_port(number);
    return absl::OkStatus();
  }
  if (absl::StrContains(host_port, '-')) {
    return absl::UnimplementedError(absl::StrCat(
        "option ", fields.PathOf("HostPort"), " with a range (", host_port, ") is not supported"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Invalid port specification: \"", host_port, "\""));
}

void Expose(const PortRange& port, pb::ContainerSpec& spec) {
  const std::string text = absl::StrCat(port.first, "/", port.protocol);
  for (const std::string& exposed : spec.exposed_ports()) {
    if (exposed == text) return;
  }
  spec.add_exposed_ports(text);
}

absl::Status ReadNetwork(JsonFields& fields, pb::ContainerSpec& spec) {
  pb::Network& network = *spec.mutable_network();
  network.set_mode(fields.String("NetworkMode"));
  network.set_publish_all_ports(fields.Bool("PublishAllPorts"));
  AddAll(fields.Strings("Dns"), network.mutable_dns_servers());
  AddAll(fields.Strings("DnsSearch"), network.mutable_dns_search());
  AddAll(fields.Strings("DnsOptions"), network.mutable_dns_options());
  AddAll(fields.Strings("ExtraHosts"), network.mutable_extra_hosts());
  const json::object* bindings = fields.Object("PortBindings");
  if (bindings == nullptr) return fields.status();
  for (const auto& member : *bindings) {
    const absl::string_view name(member.key().data(), member.key().size());
    ASSIGN_OR_RETURN(const PortRange port, ParsePort(name));
    if (port.first != port.last) {
      return absl::InvalidArgumentError(absl::StrCat("Invalid port specification: \"", name, "\""));
    }
    Expose(port, spec);
    if (member.value().is_null()) continue;
    const json::array* list = member.value().if_array();
    if (list == nullptr) {
      return absl::InvalidArgumentError("invalid JSON: HostConfig.PortBindings must be lists");
    }
    for (const json::value& item : *list) {
      RETURN_IF_ERROR(ReadPortBinding(item, port, name, network));
    }
    // A port that is listed without a binding goes to any free one.
    if (list->empty()) {
      pb::PortBinding& binding = *network.add_ports();
      binding.set_container_port(port.first);
      binding.set_protocol(port.protocol);
    }
  }
  return fields.status();
}

absl::Status ReadLogConfig(JsonFields& host_config, pb::ContainerSpec& spec) {
  const json::object* object = host_config.Object("LogConfig");
  if (object == nullptr) return host_config.status();
  JsonFields fields(*object, "HostConfig.LogConfig");
  const std::string driver = fields.String("Type");
  if (!driver.empty() && driver != "json-file" && driver != "local" && driver != "none") {
    return absl::UnimplementedError(
        absl::StrCat("option HostConfig.LogConfig.Type \"", driver,
                     "\" is not supported: json-file, local and none are"));
  }
  spec.mutable_log()->set_driver(driver);
  for (const auto& [key, value] : fields.StringMap("Config")) {
    (*spec.mutable_log()->mutable_options())[key] = value;
  }
  return fields.status();
}

absl::Status ReadUlimits(JsonFields& host_config, pb::ContainerSpec& spec) {
  const json::array* list = host_config.Array("Ulimits");
  if (list == nullptr) return host_config.status();
  for (const json::value& item : *list) {
    if (!item.is_object()) {
      return absl::InvalidArgumentError("invalid JSON: HostConfig.Ulimits must be objects");
    }
    JsonFields fields(item.get_object(), "HostConfig.Ulimits");
    pb::Ulimit& limit = *spec.add_ulimits();
    limit.set_name(fields.String("Name"));
    limit.set_soft(fields.Int("Soft"));
    limit.set_hard(fields.Int("Hard"));
    RETURN_IF_ERROR(fields.status());
  }
  return host_config.status();
}

absl::Status ReadConsoleSize(JsonFields& fields, pb::ContainerSpec& spec) {
  const json::array* size = fields.Array("ConsoleSize");
  if (size == nullptr || size->empty()) return fields.status();
  if (size->size() != 2 || !(*size)[0].is_int64() || !(*size)[1].is_int64()) {
    return absl::InvalidArgumentError("invalid JSON: HostConfig.ConsoleSize must be two integers");
  }
  const int64_t rows = (*size)[0].get_int64();
  const int64_t columns = (*size)[1].get_int64();
  if (rows < 0 || columns < 0 || rows > 65535 || columns > 65535) {
    return absl::InvalidArgumentError("invalid HostConfig.ConsoleSize");
  }
  if (rows == 0 && columns == 0) return absl::OkStatus();
  spec.mutable_terminal_size()->set_rows(static_cast<uint32_t>(rows));
  spec.mutable_terminal_size()->set_columns(static_cast<uint32_t>(columns));
  return absl::OkStatus();
}

// Known to Docker and not to us; their defaults ask for nothing.
constexpr absl::string_view kRefused[] = {"VolumesFrom",
                                          "Links",
                                          "StorageOpt",
                                          "Cgroup",
                                          "BlkioWeightDevice",
                                          "BlkioDeviceReadBps",
                                          "BlkioDeviceWriteBps",
                                          "BlkioDeviceReadIOps",
                                          "BlkioDeviceWriteIOps",
                                          "CpuRealtimePeriod",
                                          "CpuRealtimeRuntime",
                                          "Devices",
                                          "DeviceCgroupRules",
                                          "DeviceRequests",
                                          "KernelMemory",
                                          "KernelMemoryTCP",
                                          "CpuCount",
                                          "CpuPercent",
                                          "IOMaximumIOps",
                                          "IOMaximumBandwidth"};

absl::Status RefuseOthers(JsonFields& fields) {
  for (absl::string_view name : kRefused) fields.Refuse(name);
  const std::string runtime = fields.String("Runtime");
  if (!runtime.empty() && runtime != "runc" && runtime != "slipway") {
    return absl::InvalidArgumentError(absl::StrCat("unknown or invalid runtime name: ", runtime));
  }
  const std::string isolation = fields.String("Isolation");
  if (!isolation.empty() && isolation != "default") {
    return absl::InvalidArgumentError(absl::StrCat("invalid isolation '", isolation, "' on linux"));
  }
  const std::string driver = fields.String("VolumeDriver");
  if (!driver.empty() && driver != "local") fields.Refuse("VolumeDriver");
  return fields.status();
}

}  // namespace

absl::StatusOr<PortRange> ParsePort(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  PortRange range;
  range.protocol = parts.size() == 2 ? absl::AsciiStrToLower(parts[1]) : "tcp";
  const std::vector<absl::string_view> ends = absl::StrSplit(parts[0], '-');
  const bool valid =
      parts.size() <= 2 && ends.size() <= 2 && absl::SimpleAtoi(ends.front(), &range.first) &&
      absl::SimpleAtoi(ends.back(), &range.last) && range.first > 0 && range.first <= range.last &&
      range.last <= 65535 &&
      (range.protocol == "tcp" || range.protocol == "udp" || range.protocol == "sctp");
  if (!valid) {
    return absl::InvalidArgumentError(absl::StrCat("invalid port specification: \"", text, "\""));
  }
  return range;
}

absl::Status ReadHostConfig(const json::object& object, pb::ContainerSpec& spec) {
  JsonFields fields(object, "HostConfig");
  RETURN_IF_ERROR(RefuseOthers(fields));
  RETURN_IF_ERROR(ReadResources(fields, spec));
  RETURN_IF_ERROR(ReadSecurity(fields, spec));
  RETURN_IF_ERROR(ReadNamespaces(fields, spec));
  RETURN_IF_ERROR(ReadNetwork(fields, spec));
  RETURN_IF_ERROR(ReadMounts(fields, spec));
  ASSIGN_OR_RETURN(const auto policy, ReadRestartPolicy(fields));
  if (policy.has_value()) *spec.mutable_restart_policy() = *policy;
  RETURN_IF_ERROR(ReadLogConfig(fields, spec));
  RETURN_IF_ERROR(ReadUlimits(fields, spec));
  RETURN_IF_ERROR(ReadConsoleSize(fields, spec));
  spec.set_auto_remove(fields.Bool("AutoRemove"));
  spec.set_read_only_root(fields.Bool("ReadonlyRootfs"));
  spec.set_init(fields.Bool("Init"));
  spec.set_shm_size_bytes(fields.Int("ShmSize"));
  if (spec.shm_size_bytes() < 0) fields.Fail("ShmSize", "SHM size can not be less than 0");
  AddAll(fields.Strings("GroupAdd"), spec.mutable_additional_groups());
  for (const auto& [key, value] : fields.StringMap("Sysctls")) {
    (*spec.mutable_sysctls())[key] = value;
  }
  for (const auto& [key, value] : fields.StringMap("Annotations")) {
    (*spec.mutable_annotations())[key] = value;
  }
  if (spec.auto_remove() && spec.restart_policy().mode() > pb::RestartPolicy::MODE_NO) {
    return absl::InvalidArgumentError("can't create 'AutoRemove' container with restart policy");
  }
  return fields.status();
}

}  // namespace slipway::gateway
