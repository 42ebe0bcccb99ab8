#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/definition_check.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxDevices = 512;
constexpr size_t kMaxRules = 256;
constexpr int kMaxDepth = 4;

bool IsNode(const struct stat& info) { return S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode); }

DefinedDevice DeviceOf(const std::string& path, const struct stat& info) {
  return {path, info.st_mode, major(info.st_rdev), minor(info.st_rdev), info.st_uid, info.st_gid};
}

// Every node below a directory of the host, by the name that it gets inside.
void AddNodes(const std::string& directory, const std::string& inside, int depth,
              std::vector<DefinedDevice>* devices) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || devices->size() >= kMaxDevices) continue;
    const std::string path = absl::StrCat(directory, "/", name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) continue;
    // The container has these of its own.
    const bool skipped = path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue" ||
                         path == "/dev/fd" || path == "/dev/console" || path == "/dev/ptmx";
    if (skipped) continue;
    const std::string target = absl::StrCat(inside, "/", name);
    if (S_ISDIR(info.st_mode) && depth < kMaxDepth) AddNodes(path, target, depth + 1, devices);
    if (IsNode(info)) devices->push_back(DeviceOf(target, info));
  }
  closedir(stream);
}

absl::StatusOr<std::array<char, 4>> ParseAccess(absl::string_view text) {
  std::array<char, 4> access{};
  const bool good =
      !text.empty() && text.size() <= 3 && text.find_first_not_of("rwm") == absl::string_view::npos;
  if (!good) return absl::InvalidArgumentError(absl::StrCat("bad device permissions: ", text));
  std::copy(text.begin(), text.end(), access.begin());
  return access;
}

absl::Status AddDevice(const DeviceSpec& spec, Definition* definition) {
  const auto fail = [&spec](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("error gathering device information while adding custom device \"",
                     spec.path_on_host, "\": ", why));
  };
  ASSIGN_OR_RETURN(const auto access, ParseAccess(spec.cgroup_permissions));
  const std::string& inside =
      spec.path_in_container.empty() ? spec.path_on_host : spec.path_in_container;
  ASSIGN_OR_RETURN(const std::string target, CleanPath(absl::StrCat("/", inside), "device"));
  if (target == "/") return fail("not a device node");
  struct stat info;
  if (stat(spec.path_on_host.c_str(), &info) != 0) {
    return fail(absl::AsciiStrToLower(std::strerror(errno)));
  }
  std::vector<DefinedDevice> devices;
  if (S_ISDIR(info.st_mode)) {
    AddNodes(spec.path_on_host, target, 0, &devices);
  } else if (IsNode(info)) {
    devices.push_back(DeviceOf(target, info));
  }
  if (devices.empty()) return fail("not a device node");
  for (DefinedDevice& device : devices) {
    definition->limits.devices.push_back({.type = S_ISBLK(device.mode) ? 'b' : 'c',
                                          .major = static_cast<int>(device.major),
                                          .minor = static_cast<int>(device.minor),
                                          .access = access});
    // Of several with one path the first stays; the rules are those of all.
    const auto& there = definition->host_devices;
    if (std::none_of(there.begin(), there.end(),
                     [&](const DefinedDevice& other) { return other.path == device.path; })) {
      definition->host_devices.push_back(std::move(device));
    }
  }
  return absl::OkStatus();
}

// "c 1:3 rwm", "b 8:* r", "a *:* rwm".
absl::StatusOr<DeviceRule> ParseRule(const std::string& text) {
  const auto bad = [&text] {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid device cgroup rule format: '", text, "'"));
  };
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ');
  if (parts.size() != 3 || (parts[0] != "a" && parts[0] != "b" && parts[0] != "c")) return bad();
  const std::vector<absl::string_view> numbers = absl::StrSplit(parts[1], ':');
  if (numbers.size() != 2) return bad();
  DeviceRule rule{.type = parts[0][0]};
  for (const auto& [number, value] :
       {std::pair(numbers[0], &rule.major), {numbers[1], &rule.minor}}) {
    if (number == "*") continue;
    if (!absl::SimpleAtoi(number, value) || *value < 0) return bad();
  }
  const auto access = ParseAccess(parts[2]);
  if (!access.ok()) return bad();
  rule.access = *access;
  return rule;
}

}  // namespace

absl::Status DefineDevices(const ContainerSpec& spec, Definition* definition) {
  definition->limits.all_devices = definition->privileged;
  for (const DeviceSpec& device : spec.devices) RETURN_IF_ERROR(AddDevice(device, definition));
  if (definition->privileged) {
    // As Docker: every one of the host, and none of the rules.
    std::set<std::string> given;
    for (const DefinedDevice& device : definition->host_devices) given.insert(device.path);
    std::vector<DefinedDevice> all;
    AddNodes("/dev", "/dev", 0, &all);
    for (DefinedDevice& device : all) {
      if (!given.contains(device.path)) definition->host_devices.push_back(std::move(device));
    }
  }
  for (const std::string& text : spec.device_cgroup_rules) {
    ASSIGN_OR_RETURN(const DeviceRule rule, ParseRule(text));
    definition->limits.devices.push_back(rule);
  }
  if (definition->privileged) definition->limits.devices.clear();
  if (definition->host_devices.size() > kMaxDevices ||
      definition->limits.devices.size() > kMaxRules) {
    return absl::InvalidArgumentError("too many devices");
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
