#include "gateway/docker/create_host_config.h"

#include <limits>
#include <optional>
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
#include "gateway/docker/create_resources.h"
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

// Go's strconv.ParseBool.
std::optional<bool> ParseBool(absl::string_view text) {
  for (const char* word : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == word) return true;
  }
  for (const char* word : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

// "name=value"; Docker also takes ':' between them, and names one place for each mistake.
absl::Status ReadSecurityOption(absl::string_view option, pb::Security& security) {
  if (option == "no-new-privileges") {
    security.set_no_new_privileges(true);
    return absl::OkStatus();
  }
  size_t separator = option.find('=');
  if (separator == absl::string_view::npos) separator = option.find(':');
  if (separator == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("invalid --security-opt 1: \"", option, "\""));
  }
  const absl::string_view name = option.substr(0, separator);
  const absl::string_view value = option.substr(separator + 1);
  if (name == "no-new-privileges") {
    if (const auto flag = ParseBool(value)) {
      security.set_no_new_privileges(*flag);
      return absl::OkStatus();
    }
  } else if (name == "seccomp") {
    if (value != "builtin") security.set_seccomp_profile(std::string(value));
    return absl::OkStatus();
  } else if (name == "apparmor" || name == "label") {
    // As Docker on a host with neither AppArmor nor SELinux: kept for inspect, without effect.
    return absl::OkStatus();
  } else if (name == "writable-cgroups") {
    return absl::UnimplementedError(
        absl::StrCat("option HostConfig.SecurityOpt \"", option, "\" is not supported"));
  }
  return absl::InvalidArgumentError(absl::StrCat("invalid --security-opt 2: \"", option, "\""));
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
  const std::vector<absl::string_view> ends = absl::StrSplit(host_port, '-');
  uint32_t last = 0;
  if (ends.size() == 2 && absl::SimpleAtoi(ends[0], &number) && absl::SimpleAtoi(ends[1], &last) &&
      number > 0 && number <= last && last <= 65535) {
    binding.set_host_port(number);
    if (last != number) binding.set_host_port_last(last);
    return absl::OkStatus();
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
  AddAll(fields.Strings("Links"), network.mutable_links());
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
  spec.mutable_log()->set_driver(fields.String("Type"));
  for (const auto& [key, value] : fields.StringMap("Config")) {
    (*spec.mutable_log()->mutable_options())[key] = value;
  }
  return fields.status();
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
absl::Status RefuseOthers(JsonFields& fields) {
  fields.Refuse("Cgroup");
  if (!fields.StringMap("StorageOpt").empty()) {
    fields.Join(absl::InvalidArgumentError(
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"));
  }
  const std::string runtime = fields.String("Runtime");
  if (!runtime.empty() && runtime != "runc" && runtime != "slipway") {
    return absl::InvalidArgumentError(absl::StrCat("unknown or invalid runtime name: ", runtime));
  }
  const std::string isolation = fields.String("Isolation");
  if (!isolation.empty() && isolation != "default") {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid isolation: \"", isolation, "\" - linux only supports 'default'"));
  }
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

absl::Status ReadHostConfig(const json::object& object, pb::ContainerSpec& spec,
                            std::vector<std::string>& warnings) {
  JsonFields fields(object, "HostConfig");
  RETURN_IF_ERROR(RefuseOthers(fields));
  RETURN_IF_ERROR(ReadResources(fields, spec, warnings));
  RETURN_IF_ERROR(ReadSecurity(fields, spec));
  RETURN_IF_ERROR(ReadNamespaces(fields, spec));
  RETURN_IF_ERROR(ReadNetwork(fields, spec));
  RETURN_IF_ERROR(ReadMounts(fields, spec));
  ASSIGN_OR_RETURN(const auto policy, ReadRestartPolicy(fields));
  if (policy.has_value()) *spec.mutable_restart_policy() = *policy;
  RETURN_IF_ERROR(ReadLogConfig(fields, spec));
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
