#ifndef RUNTIME_AGENT_OCI_CONFIG_H_
#define RUNTIME_AGENT_OCI_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/kernel/cgroup.h"

// config.json of an OCI bundle (runtime-spec 1.2, config.md and config-linux.md) as values: what of
// it this runtime does. What it cannot do and may not ignore is refused by name.
namespace slipway::agent {

struct OciMount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

struct OciNamespace {
  uint64_t flag = 0;  // CLONE_NEW*
  std::string path;   // empty: a new one
};

struct OciDevice {
  std::string path;
  uint32_t mode = 0;  // with the type
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct OciRlimit {
  int resource = 0;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct OciCapabilities {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;
};

struct OciProcess {
  bool terminal = false;
  uint16_t rows = 0;
  uint16_t columns = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
  std::optional<uint32_t> umask;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd;
  OciCapabilities capabilities;
  std::vector<OciRlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
};

struct OciHook {
  std::string path;
  std::vector<std::string> args;  // with argv[0]
  std::vector<std::string> env;
  int timeout_s = 0;  // 0: none
};

struct OciConfig {
  std::string version;
  OciProcess process;
  std::string root;  // as written: relative to the bundle or absolute
  bool read_only_root = false;
  std::string hostname;
  std::string domainname;
  std::vector<OciMount> mounts;
  std::map<std::string, std::vector<OciHook>> hooks;  // by "prestart", "createRuntime", ...
  std::map<std::string, std::string> annotations;

  std::vector<OciNamespace> namespaces;
  std::vector<OciDevice> devices;
  std::string cgroups_path;
  CgroupLimits limits;
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::string seccomp;  // JSON; empty: none
  uint64_t root_propagation = 0;
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;

  // The namespace with that flag, or null.
  const OciNamespace* Namespace(uint64_t flag) const;
};

// At most 4 MiB. InvalidArgument names the member that is wrong, Unimplemented what is not done.
absl::StatusOr<OciConfig> ParseOciConfig(absl::string_view json);
// process.json of `exec`.
absl::StatusOr<OciProcess> ParseOciProcess(absl::string_view json);
// resources.json of `update`: a LinuxResources object.
absl::StatusOr<CgroupLimits> ParseOciResources(absl::string_view json);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_CONFIG_H_
