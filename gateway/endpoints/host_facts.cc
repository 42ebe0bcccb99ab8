#include "gateway/endpoints/host_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"

namespace slipway::gateway {
namespace {

std::string GoArchitecture(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

// os-release(5).
void ReadOsRelease(HostFacts& facts) {
  absl::StatusOr<std::string> text = ReadFile("/etc/os-release", 64 << 10);
  if (!text.ok()) return;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos) continue;
    absl::string_view value = line.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    const absl::string_view name = line.substr(0, equals);
    if (name == "PRETTY_NAME") facts.operating_system = std::string(value);
    if (name == "ID") facts.os_id = std::string(value);
    if (name == "VERSION_ID") facts.os_version = std::string(value);
  }
}

HostFacts Gather() {
  HostFacts facts;
  utsname names;
  if (uname(&names) == 0) {
    facts.hostname = names.nodename;
    facts.kernel_version = names.release;
    facts.architecture = names.machine;
    facts.go_architecture = GoArchitecture(names.machine);
  }
  ReadOsRelease(facts);
  facts.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  facts.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  // cgroups(7): this file is at the root only where version 2 is mounted alone.
  facts.cgroup_version = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "2" : "1";
  return facts;
}

}  // namespace

const HostFacts& LocalHost() {
  static const HostFacts& facts = *new HostFacts(Gather());
  return facts;
}

}  // namespace slipway::gateway
