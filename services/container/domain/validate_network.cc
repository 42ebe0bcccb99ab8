#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "services/container/domain/clean_path.h"
#include "services/container/domain/validate.h"
#include "services/container/domain/volume_rules.h"

namespace slipway::container {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

bool IsAddress(const std::string& text) {
  std::array<char, sizeof(in6_addr)> address;
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

bool IsProtocol(absl::string_view protocol) {
  return protocol == "tcp" || protocol == "udp" || protocol == "sctp";
}

// "80", "80/udp", "8000-8010/tcp".
absl::Status ValidateExposedPort(const std::string& text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  if (absl::StrContains(text, '/') && !IsProtocol(parts.second)) {
    return Bad("invalid proto: ", parts.second);
  }
  const std::pair<absl::string_view, absl::string_view> range =
      absl::StrSplit(parts.first, absl::MaxSplits('-', 1));
  uint32_t first = 0;
  uint32_t last = 0;
  bool good = absl::SimpleAtoi(range.first, &first) && first >= 1 && first <= 65535;
  if (good && absl::StrContains(parts.first, '-')) {
    good = absl::SimpleAtoi(range.second, &last) && last >= first && last <= 65535;
  }
  if (!good) return Bad("invalid port specification: \"", text.substr(0, 100), "\"");
  return absl::OkStatus();
}

absl::Status ValidateBinding(const PortBinding& port) {
  if (port.container_port < 1 || port.container_port > 65535) {
    return Bad("invalid port specification: \"", port.container_port, "\"");
  }
  if (!port.protocol.empty() && !IsProtocol(port.protocol)) {
    return Bad("invalid proto: ", port.protocol);
  }
  if (port.host_port > 65535) {
    return Bad("invalid port specification: \"", port.host_port, "\"");
  }
  if (!port.host_address.empty() && !IsAddress(port.host_address)) {
    return Bad("invalid IP address: ", port.host_address);
  }
  return absl::OkStatus();
}

absl::Status ValidateSharedNetwork(const ContainerSpec& spec) {
  const Network& network = spec.network;
  if (!spec.hostname.empty()) {
    return Bad("conflicting options: hostname and the network mode");
  }
  if (!network.ports.empty() || network.publish_all_ports) {
    return Bad("conflicting options: port publishing and the container type network mode");
  }
  if (!spec.exposed_ports.empty()) {
    return Bad("conflicting options: port exposing and the container type network mode");
  }
  if (!network.dns_servers.empty()) {
    return Bad("conflicting options: dns and the network mode");
  }
  if (!network.extra_hosts.empty()) {
    return Bad("conflicting options: custom host-to-IP mapping and the network mode");
  }
  if (!network.mac_address.empty()) {
    return Bad("conflicting options: mac-address and the network mode");
  }
  return absl::OkStatus();
}

bool IsMacAddress(absl::string_view text) {
  int groups = 0;
  for (const absl::string_view group : absl::StrSplit(text, ':')) {
    ++groups;
    if (group.size() != 2 || !absl::ascii_isxdigit(static_cast<unsigned char>(group[0])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(group[1]))) {
      return false;
    }
  }
  return groups == 6;
}

absl::Status ValidateNamespace(absl::string_view what, absl::string_view mode, bool may_join,
                               std::initializer_list<absl::string_view> more) {
  if (mode.empty() || mode == "private" || mode == "host") return absl::OkStatus();
  if (may_join && !JoinedContainer(mode).empty()) return absl::OkStatus();
  if (std::find(more.begin(), more.end(), mode) != more.end()) return absl::OkStatus();
  return Bad("invalid ", what, " mode: ", mode);
}

absl::Status ValidateVolume(const Mount& mount) {
  if (!mount.source.empty()) RETURN_IF_ERROR(CheckVolumeName(mount.source));
  if (!mount.volume_driver.empty() && mount.volume_driver != "local") {
    return Bad("create ", mount.source, ": error looking up volume plugin ", mount.volume_driver,
               ": plugin \"", mount.volume_driver, "\" not found");
  }
  if (const auto options = ParseVolumeOptions(mount.volume_options); !options.ok()) {
    return Bad("create ", mount.source, ": ", options.status().message());
  }
  if (absl::StartsWith(mount.volume_subpath, "/") ||
      absl::StrContains(absl::StrCat("/", mount.volume_subpath, "/"), "/../")) {
    return Bad("invalid mount config for type \"volume\": subpath must be a relative path within ",
               "the volume");
  }
  return absl::OkStatus();
}

absl::Status ValidateMount(const Mount& mount) {
  constexpr std::array<absl::string_view, 7> kPropagations = {
      "", "private", "rprivate", "shared", "rshared", "slave", "rslave"};
  if (mount.target.empty() || mount.target[0] != '/') {
    return Bad("invalid mount path: '", mount.target, "' mount path must be absolute");
  }
  if (CleanTarget(mount.target) == "/") {
    return Bad("invalid specification: destination can't be '/'");
  }
  if (mount.read_only_non_recursive && mount.read_only_force_recursive) {
    return Bad("mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive");
  }
  if ((mount.read_only_non_recursive || mount.read_only_force_recursive) && !mount.read_only) {
    return Bad("invalid mount config for type \"bind\": recursion of read-only mounts needs ",
               "a read-only mount");
  }
  if (std::find(kPropagations.begin(), kPropagations.end(), mount.propagation) ==
      kPropagations.end()) {
    return Bad("invalid propagation mode: ", mount.propagation);
  }
  switch (mount.type) {
    case Mount::Type::kBind:
      if (mount.source.empty() || mount.source[0] != '/') {
        return Bad("invalid mount config for type \"bind\": invalid mount path: '", mount.source,
                   "' mount path must be absolute");
      }
      return absl::OkStatus();
    case Mount::Type::kVolume:
      return ValidateVolume(mount);
    case Mount::Type::kTmpfs:
      if (!mount.source.empty()) {
        return Bad("invalid mount config for type \"tmpfs\": field Source must not be specified");
      }
      if (mount.tmpfs_size_bytes < 0) return Bad("invalid tmpfs size: ", mount.tmpfs_size_bytes);
      return absl::OkStatus();
    case Mount::Type::kUnspecified:
      break;
  }
  return Bad("mount type unknown");
}

}  // namespace

absl::Status ValidateNetwork(const ContainerSpec& spec) {
  const Network& network = spec.network;
  if (absl::StartsWith(network.mode, "container:")) {
    if (JoinedContainer(network.mode).empty()) {
      return Bad("invalid container format container:<name|id>");
    }
    RETURN_IF_ERROR(ValidateSharedNetwork(spec));
  }
  for (const std::string& port : spec.exposed_ports) RETURN_IF_ERROR(ValidateExposedPort(port));
  for (const PortBinding& port : network.ports) RETURN_IF_ERROR(ValidateBinding(port));
  for (const std::string& server : network.dns_servers) {
    if (!IsAddress(server)) return Bad("invalid IP address: ", server);
  }
  for (const std::string& host : network.extra_hosts) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(host, absl::MaxSplits(':', 1));
    if (parts.first.empty() || parts.second.empty()) {
      return Bad("bad format for add-host: \"", host, "\"");
    }
    if (parts.second != "host-gateway" && !IsAddress(parts.second)) {
      return Bad("invalid IP address in add-host: \"", parts.second, "\"");
    }
  }
  if (!network.mac_address.empty() && !IsMacAddress(network.mac_address)) {
    return Bad("invalid MAC address: ", network.mac_address);
  }
  const Namespaces& namespaces = spec.namespaces;
  RETURN_IF_ERROR(ValidateNamespace("PID", namespaces.pid, true, {}));
  RETURN_IF_ERROR(ValidateNamespace("IPC", namespaces.ipc, true, {"none", "shareable"}));
  RETURN_IF_ERROR(ValidateNamespace("UTS", namespaces.uts, false, {}));
  RETURN_IF_ERROR(ValidateNamespace("cgroup namespace", namespaces.cgroup, false, {}));
  RETURN_IF_ERROR(ValidateNamespace("userns", namespaces.user, false, {}));
  if (namespaces.uts == "host" && !spec.hostname.empty()) {
    return Bad("conflicting options: hostname and the UTS mode");
  }
  if (namespaces.uts == "host" && !spec.domainname.empty()) {
    return Bad("conflicting options: domainname and the UTS mode");
  }
  return absl::OkStatus();
}

absl::Status ValidateMounts(const ContainerSpec& spec) {
  absl::flat_hash_set<std::string> targets;
  for (const Mount& mount : spec.mounts) {
    RETURN_IF_ERROR(ValidateMount(mount));
    if (!targets.insert(CleanTarget(mount.target)).second) {
      return Bad("Duplicate mount point: ", mount.target);
    }
  }
  for (const std::string& volume : spec.volumes) {
    if (volume.empty() || volume[0] != '/') {
      return Bad("invalid volume specification: '", volume, "'");
    }
    if (CleanTarget(volume) == "/") {
      return Bad("invalid specification: destination can't be '/'");
    }
  }
  return absl::OkStatus();
}

}  // namespace slipway::container
