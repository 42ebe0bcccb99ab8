#ifndef SERVICES_CONTAINER_MODEL_SPEC_H_
#define SERVICES_CONTAINER_MODEL_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"

// What a client asked for, as plain values: the same fields, units and meanings as
// slipway.container.v1.ContainerSpec (its .proto is the reference), free of any encoding. Value
// types; no thread safety of their own.
namespace slipway::container {

using StringMap = absl::btree_map<std::string, std::string>;

// Docker's HEALTHCHECK. Zero: not set.
struct Healthcheck {
  std::vector<std::string> test;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int32_t retries = 0;
};

// OCI image-spec, config.md, "config".
struct ImageConfig {
  std::string user;
  std::vector<std::string> exposed_ports;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> volumes;
  std::string working_directory;
  StringMap labels;
  std::string stop_signal;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  std::optional<Healthcheck> healthcheck;
  bool args_escaped = false;
};

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  bool operator==(const Platform&) const = default;
};

struct TerminalSize {
  uint32_t rows = 0;
  uint32_t columns = 0;

  bool operator==(const TerminalSize&) const = default;
};

struct RestartPolicy {
  // Numbered as on the wire and on disk.
  enum class Mode { kUnspecified = 0, kNo = 1, kAlways = 2, kOnFailure = 3, kUnlessStopped = 4 };
  Mode mode = Mode::kUnspecified;
  int32_t maximum_retries = 0;

  bool operator==(const RestartPolicy&) const = default;
};

struct BlockDeviceLimit {
  std::string path;
  uint64_t value = 0;

  bool operator==(const BlockDeviceLimit&) const = default;
};

struct Device {
  std::string path_on_host;
  std::string path_in_container;
  std::string cgroup_permissions;
};

struct Resources {
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
  std::vector<BlockDeviceLimit> blkio_weight_devices;
  std::vector<BlockDeviceLimit> blkio_read_bps_devices;
  std::vector<BlockDeviceLimit> blkio_write_bps_devices;
  std::vector<BlockDeviceLimit> blkio_read_iops_devices;
  std::vector<BlockDeviceLimit> blkio_write_iops_devices;
  std::optional<int64_t> memory_swappiness;
  int64_t kernel_memory_bytes = 0;

  bool operator==(const Resources&) const = default;
};

struct Security {
  bool privileged = false;
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  bool no_new_privileges = false;
  std::string seccomp_profile;
  std::optional<std::vector<std::string>> masked_paths;
  std::optional<std::vector<std::string>> read_only_paths;

  bool operator==(const Security&) const = default;
};

struct Namespaces {
  std::string pid;
  std::string ipc;
  std::string uts;
  std::string cgroup;
  std::string user;

  bool operator==(const Namespaces&) const = default;
};

struct PortBinding {
  uint32_t container_port = 0;
  std::string protocol;
  std::string host_address;
  uint32_t host_port = 0;
  uint32_t host_port_last = 0;

  bool operator==(const PortBinding&) const = default;
};

// A container's place in one network: by its id once created.
struct Attachment {
  std::string network;
  std::string network_name;
  std::vector<std::string> aliases;
  std::string address;
  std::string address6;
  std::string mac_address;
  std::vector<std::string> links;  // "<id>:<alias>" once created
  StringMap driver_options;
  int32_t gateway_priority = 0;

  bool operator==(const Attachment&) const = default;
};

struct Network {
  std::string mode;
  std::vector<PortBinding> ports;
  bool publish_all_ports = false;
  std::vector<std::string> dns_servers;
  std::vector<std::string> dns_search;
  std::vector<std::string> dns_options;
  std::vector<std::string> extra_hosts;
  std::string mac_address;
  std::vector<std::string> links;  // "<id>:<alias>" once created
  std::vector<Attachment> attachments;
  bool attachments_are_all = false;

  bool operator==(const Network&) const = default;
};

struct Mount {
  // Numbered as on the wire and on disk.
  enum class Type { kUnspecified = 0, kBind = 1, kVolume = 2, kTmpfs = 3 };
  Type type = Type::kUnspecified;
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
  bool read_only_force_recursive = false;
  std::string volume_subpath;
  bool volume_no_copy = false;
  bool anonymous = false;
  std::string mode;
  std::string host_path;
  StringMap volume_labels;
  StringMap volume_options;
  std::string volume_driver;
};

struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
};

struct LogPolicy {
  std::string driver;
  StringMap options;

  bool operator==(const LogPolicy&) const = default;
};

struct ContainerSpec {
  std::string image;
  std::optional<std::vector<std::string>> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::string working_directory;
  std::string user;
  std::vector<std::string> additional_groups;
  std::string hostname;
  std::string domainname;
  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;
  StringMap labels;
  StringMap annotations;
  std::string stop_signal;
  std::optional<int32_t> stop_timeout_seconds;
  std::vector<std::string> exposed_ports;
  std::vector<std::string> volumes;
  std::optional<Healthcheck> healthcheck;
  bool auto_remove = false;
  bool read_only_root = false;
  bool init = false;
  int64_t shm_size_bytes = 0;
  RestartPolicy restart_policy;
  Resources resources;
  Security security;
  Namespaces namespaces;
  Network network;
  std::vector<Mount> mounts;
  StringMap sysctls;
  std::vector<Ulimit> ulimits;
  LogPolicy log;
  TerminalSize terminal_size;
  std::string client_data;
  Platform platform;
  std::vector<std::string> volumes_from;
  std::vector<Device> devices;
  std::vector<std::string> device_cgroup_rules;
};

struct ExecSpec {
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::string working_directory;
  std::string user;
  bool tty = false;
  bool attach_stdin = false;
  bool attach_stdout = false;
  bool attach_stderr = false;
  bool privileged = false;
  std::string detach_keys;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_MODEL_SPEC_H_
