#ifndef RUNTIME_AGENT_DOMAIN_SPEC_H_
#define RUNTIME_AGENT_DOMAIN_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What the container service asks for, as plain values: fields, units and meanings are those of
// slipway.container.v1.ContainerSpec. Value types without thread safety of their own.
namespace slipway::agent {

struct BlockDeviceSpec {
  std::string path;
  uint64_t value = 0;
};

struct DeviceSpec {
  std::string path_on_host;
  std::string path_in_container;
  std::string cgroup_permissions;
};

struct ResourceSpec {
  int64_t nano_cpus = 0;
  int64_t cpu_shares = 0;
  int64_t cpu_quota_us = 0;
  int64_t cpu_period_us = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  int64_t memory_bytes = 0;
  int64_t memory_swap_bytes = 0;
  int64_t memory_reservation_bytes = 0;
  int64_t pids_limit = 0;
  int32_t oom_score_adj = 0;
  bool oom_kill_disable = false;
  std::string cgroup_parent;
  uint32_t blkio_weight = 0;
  std::vector<BlockDeviceSpec> blkio_weight_devices;
  std::vector<BlockDeviceSpec> blkio_read_bps_devices;
  std::vector<BlockDeviceSpec> blkio_write_bps_devices;
  std::vector<BlockDeviceSpec> blkio_read_iops_devices;
  std::vector<BlockDeviceSpec> blkio_write_iops_devices;
  std::optional<int64_t> memory_swappiness;
};

struct SecuritySpec {
  bool privileged = false;
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  bool no_new_privileges = false;
  std::string seccomp_profile;
  std::optional<std::vector<std::string>> masked_paths;
  std::optional<std::vector<std::string>> read_only_paths;
};

struct NamespaceSpec {
  std::string pid;
  std::string ipc;
  std::string uts;
  std::string cgroup;
  std::string user;
};

struct PortSpec {
  uint32_t container_port = 0;
  std::string protocol;
  std::string host_address;
  uint32_t host_port = 0;
  uint32_t host_port_last = 0;

  friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

struct NetworkSpec {
  std::string mode;
  std::vector<PortSpec> ports;
  bool publish_all_ports = false;
  std::vector<std::string> dns_servers;
  std::vector<std::string> dns_search;
  std::vector<std::string> dns_options;
  std::vector<std::string> extra_hosts;
  std::string mac_address;
};

struct MountSpec {
  enum class Type { kBind, kVolume, kTmpfs };
  Type type = Type::kBind;
  std::string source;
  std::string target;
  bool read_only = false;
  std::string propagation;
  int64_t tmpfs_size_bytes = 0;
  uint32_t tmpfs_mode = 0;
  std::string tmpfs_options;
  bool create_source = false;
  bool non_recursive = false;
  bool read_only_non_recursive = false;
  std::string volume_subpath;
  bool volume_no_copy = false;
};

struct UlimitSpec {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
};

struct ContainerSpec {
  std::vector<std::string> additional_groups;
  std::string domainname;
  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;
  bool auto_remove = false;
  bool read_only_root = false;
  bool init = false;
  int64_t shm_size_bytes = 0;
  std::vector<std::string> exposed_ports;
  std::vector<std::string> volumes;
  ResourceSpec resources;
  SecuritySpec security;
  NamespaceSpec namespaces;
  NetworkSpec network;
  std::vector<MountSpec> mounts;
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::vector<UlimitSpec> ulimits;
  std::string log_driver;
  std::vector<std::pair<std::string, std::string>> log_options;
  uint32_t terminal_rows = 0;
  uint32_t terminal_columns = 0;
  std::vector<DeviceSpec> devices;
  std::vector<std::string> device_cgroup_rules;
};

// PrepareContainer, with image and spec merged.
struct PrepareCommand {
  std::string id;
  std::string name;
  std::string sandbox_id;
  ContainerSpec spec;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string working_directory;
  std::string user;
  std::vector<std::string> layer_diff_ids;  // bottom first
  std::string hostname;
  // For the log service.
  std::string image;
  std::string image_id;
  std::vector<std::pair<std::string, std::string>> labels;
  int64_t created_unix_ns = 0;
};

// A container's place in a network.
struct AttachmentSpec {
  std::string network_id;
  std::string address;
  std::string address6;
  std::string mac_address;
  int32_t gateway_priority = 0;
  std::vector<std::string> names;
  std::map<std::string, std::string> links;
  std::map<std::string, std::string> driver_options;
};

// StartContainer: what one run has beyond the definition.
struct StartCommand {
  std::string id;
  std::vector<std::string> extra_hosts;
  std::vector<std::string> env;
  std::optional<int64_t> last_started_ns;
  // Nothing: the default bridge, where the network mode says so.
  std::optional<std::vector<AttachmentSpec>> attachments;
};

struct ExecCommand {
  std::string exec_id;
  std::string container_id;
  std::vector<std::string> argv;
  std::vector<std::string> env;  // the container's, then the exec's
  std::string user;              // the exec's or the container's
  std::string working_directory;
  bool tty = false;
  bool stdin_open = false;
  bool privileged = false;
  bool detach = false;
  // Neither kept nor told of: a probe, which nobody asks for afterwards.
  bool transient = false;
  uint32_t rows = 0;
  uint32_t columns = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_SPEC_H_
