#ifndef RUNTIME_AGENT_DOMAIN_DEFINITION_H_
#define RUNTIME_AGENT_DOMAIN_DEFINITION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/network/network_driver.h"
#include "runtime-agent/ports/log_sink.h"

// A container as prepared: everything parsed, checked and looked up, so that starting it only binds
// descriptors. Saved with the record. Value types without thread safety of their own.
namespace slipway::agent {

struct NamespaceMode {
  enum class Kind { kPrivate, kHost, kContainer, kNone, kBridge };
  Kind kind = Kind::kPrivate;
  // Of kContainer; of kBridge a network's name, where it is not the default one.
  std::string container_id;

  friend bool operator==(const NamespaceMode&, const NamespaceMode&) = default;
};

// Binds and volumes of a container: each is a descriptor of its plan, and others need some as well.
inline constexpr size_t kMaxBoundMounts = 200;

// A mount that is not one of Docker's own.
struct DefinedMount {
  enum class Kind { kBind, kVolume, kTmpfs };
  Kind kind = Kind::kBind;
  std::string source;  // host path; of a volume its directory
  std::string target;  // absolute, clean
  bool read_only = false;
  enum class Recursion { kWhole = 0, kTop = 1 };
  Recursion read_only_recursion = Recursion::kWhole;
  uint64_t propagation = 0;  // MS_PRIVATE, MS_SHARED or MS_SLAVE, with MS_REC for what is below too
  bool recursive = true;     // with what is mounted below the source
  bool create_source = false;
  uint64_t tmpfs_flags = 0;  // MS_*
  std::string tmpfs_data;
  std::string subpath;  // below a volume's source
  bool no_copy = false;
};

struct DefinedRlimit {
  int resource = 0;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct DefinedDevice {
  std::string path;
  uint32_t mode = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct ProcessUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
  std::string home = "/";

  friend bool operator==(const ProcessUser&, const ProcessUser&) = default;
};

// A log service that is away for an hour should not hold back a container that logs in earnest.
inline constexpr uint64_t kSpoolCapacityBytes = uint64_t{1} << 30;
// Of a container that rather loses output than waits, unless it says how much.
inline constexpr uint64_t kDroppingSpoolCapacityBytes = 64 << 20;

struct Definition {
  std::string id;
  std::string name;
  std::vector<std::string> layer_diff_ids;  // bottom first, each once

  std::vector<std::string> argv;
  std::vector<std::string> env;  // as the process gets it, but for HOME
  std::string working_directory;
  std::string user_text;  // looked up again when the container may have changed its own passwd file
  std::vector<std::string> additional_groups;
  ProcessUser user;

  std::string hostname;
  std::string domainname;
  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;
  bool auto_remove = false;
  bool read_only_root = false;
  int64_t shm_size_bytes = 0;
  uint16_t rows = 0;
  uint16_t columns = 0;

  std::string cgroup_parent;  // absolute; empty: the agent's own
  CgroupLimits limits;
  int oom_score_adj = 0;
  std::vector<DefinedRlimit> rlimits;
  std::vector<std::pair<std::string, std::string>> sysctls;

  bool privileged = false;
  uint64_t capabilities = 0;
  bool no_new_privileges = false;
  std::string seccomp_profile;  // "": default; "unconfined"; JSON
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;
  std::vector<DefinedDevice> host_devices;  // beyond those that every container has
  bool init = false;
  // Users are remapped, to ids of the host from here on; zero: they are not.
  uint32_t first_uid = 0;
  uint32_t first_gid = 0;

  NamespaceMode pid;
  NamespaceMode ipc;
  NamespaceMode uts;
  NamespaceMode cgroup;
  NamespaceMode network;
  std::vector<PublishedPort> ports;
  std::string mac_address;
  std::vector<std::string> dns_servers;
  std::vector<std::string> dns_search;
  std::vector<std::string> dns_options;
  std::vector<std::string> extra_hosts;

  std::vector<DefinedMount> mounts;

  LoggedContainer logged;
  bool ship_log = true;
  bool drop_when_full = false;
  uint64_t spool_capacity_bytes = kSpoolCapacityBytes;

  // As CgroupDriver names it.
  std::string cgroup_name() const { return cgroup_parent.empty() ? id : cgroup_parent + "/" + id; }
};

// What the log service is told; null when nothing is recorded.
inline std::shared_ptr<const LoggedContainer> LoggedOf(const Definition& definition) {
  if (!definition.ship_log) return nullptr;
  return std::make_shared<const LoggedContainer>(definition.logged);
}

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_DEFINITION_H_
