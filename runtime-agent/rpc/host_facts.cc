#include "runtime-agent/rpc/host_facts.h"

#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"

namespace slipway::agent {
namespace {

// os-release(5): NAME=value or NAME="value".
std::string Field(const std::string& text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name) || !absl::ConsumePrefix(&line, "=")) continue;
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') {
      line = line.substr(1, line.size() - 2);
    }
    return std::string(line);
  }
  return "";
}

int CpuCount() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

v1::GetHostResponse DescribeHost(const std::string& cgroup_version) {
  v1::GetHostResponse host;
  utsname names{};
  uname(&names);
  host.set_hostname(names.nodename);
  host.set_kernel_version(names.release);
  host.set_architecture(names.machine);
  const auto release = ReadFile("/etc/os-release", 64 << 10);
  if (release.ok()) {
    host.set_operating_system(Field(*release, "PRETTY_NAME"));
    host.set_os_release_id(Field(*release, "ID"));
    host.set_os_release_version(Field(*release, "VERSION_ID"));
  }
  host.set_cpu_count(CpuCount());
  struct sysinfo info {};
  if (sysinfo(&info) == 0) {
    host.set_memory_bytes(static_cast<int64_t>(info.totalram) * info.mem_unit);
  }
  host.set_cgroup_version(cgroup_version);
  host.set_cgroup_driver("cgroupfs");
  host.add_security_options("name=seccomp,profile=builtin");
  if (cgroup_version == "2") host.add_security_options("name=cgroupns");
  const auto forwarding = ReadFile("/proc/sys/net/ipv4/ip_forward", 16);
  host.set_ipv4_forwarding(forwarding.ok() && absl::StartsWith(*forwarding, "1"));
  if (!host.ipv4_forwarding()) host.add_warnings("WARNING: IPv4 forwarding is disabled");
  return host;
}

}  // namespace slipway::agent
