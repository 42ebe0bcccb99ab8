#ifndef SERVICES_CONTAINER_CODEC_SPEC_CODEC_H_
#define SERVICES_CONTAINER_CODEC_SPEC_CODEC_H_

#include <optional>
#include <string>
#include <vector>

#include "services/container/model/container.h"
#include "services/container/model/network.h"
#include "services/container/model/spec.h"

// Model values to messages and back. The messages are template parameters, because the wire
// (slipway.container.v1, slipway.image.v1) and the disk (slipway.storage.v1) name the same fields
// alike today: one mapping serves both, and a field that only one of them has gets an overload of
// its own. Enumerations have the same numbers everywhere. Pure functions, thread-safe.
namespace slipway::container::codec {

template <typename Repeated>
void PutList(const std::vector<std::string>& from, Repeated* to) {
  to->Reserve(static_cast<int>(from.size()));
  for (const std::string& value : from) *to->Add() = value;
}

template <typename Repeated>
std::vector<std::string> GetList(const Repeated& from) {
  return std::vector<std::string>(from.begin(), from.end());
}

template <typename Map>
void PutMap(const StringMap& from, Map* to) {
  for (const auto& [key, value] : from) (*to)[key] = value;
}

template <typename Map>
StringMap GetMap(const Map& from) {
  StringMap map;
  for (const auto& [key, value] : from) map[key] = value;
  return map;
}

template <typename P>
void PutHealthcheck(const Healthcheck& from, P* to) {
  PutList(from.test, to->mutable_test());
  to->set_interval_ns(from.interval_ns);
  to->set_timeout_ns(from.timeout_ns);
  to->set_start_period_ns(from.start_period_ns);
  to->set_start_interval_ns(from.start_interval_ns);
  to->set_retries(from.retries);
}

template <typename P>
Healthcheck GetHealthcheck(const P& from) {
  return Healthcheck{.test = GetList(from.test()),
                     .interval_ns = from.interval_ns(),
                     .timeout_ns = from.timeout_ns(),
                     .start_period_ns = from.start_period_ns(),
                     .start_interval_ns = from.start_interval_ns(),
                     .retries = from.retries()};
}

template <typename P>
void PutImageConfig(const ImageConfig& from, P* to) {
  to->set_user(from.user);
  PutList(from.exposed_ports, to->mutable_exposed_ports());
  PutList(from.env, to->mutable_env());
  PutList(from.entrypoint, to->mutable_entrypoint());
  PutList(from.command, to->mutable_command());
  PutList(from.volumes, to->mutable_volumes());
  to->set_working_directory(from.working_directory);
  PutMap(from.labels, to->mutable_labels());
  to->set_stop_signal(from.stop_signal);
  PutList(from.shell, to->mutable_shell());
  PutList(from.on_build, to->mutable_on_build());
  if (from.healthcheck.has_value()) PutHealthcheck(*from.healthcheck, to->mutable_healthcheck());
  to->set_args_escaped(from.args_escaped);
}

template <typename P>
ImageConfig GetImageConfig(const P& from) {
  ImageConfig to;
  to.user = from.user();
  to.exposed_ports = GetList(from.exposed_ports());
  to.env = GetList(from.env());
  to.entrypoint = GetList(from.entrypoint());
  to.command = GetList(from.command());
  to.volumes = GetList(from.volumes());
  to.working_directory = from.working_directory();
  to.labels = GetMap(from.labels());
  to.stop_signal = from.stop_signal();
  to.shell = GetList(from.shell());
  to.on_build = GetList(from.on_build());
  if (from.has_healthcheck()) to.healthcheck = GetHealthcheck(from.healthcheck());
  to.args_escaped = from.args_escaped();
  return to;
}

template <typename P>
void PutPortBinding(const PortBinding& from, P* to) {
  to->set_container_port(from.container_port);
  to->set_protocol(from.protocol);
  to->set_host_address(from.host_address);
  to->set_host_port(from.host_port);
  to->set_host_port_last(from.host_port_last);
}

template <typename P>
PortBinding GetPortBinding(const P& from) {
  return PortBinding{.container_port = from.container_port(),
                     .protocol = from.protocol(),
                     .host_address = from.host_address(),
                     .host_port = from.host_port(),
                     .host_port_last = from.host_port_last()};
}

template <typename P>
void PutEndpoint(const Endpoint& from, P* to) {
  to->set_network(from.network);
  to->set_address(from.address);
  to->set_prefix_length(from.prefix_length);
  to->set_gateway(from.gateway);
  to->set_mac_address(from.mac_address);
  for (const PortBinding& port : from.ports) PutPortBinding(port, to->add_ports());
  to->set_network_id(from.network_id);
  to->set_endpoint_id(from.endpoint_id);
  to->set_address6(from.address6);
  to->set_prefix_length6(from.prefix_length6);
  to->set_gateway6(from.gateway6);
  to->set_interface(from.interface);
}

template <typename P>
Endpoint GetEndpoint(const P& from) {
  Endpoint to;
  to.network = from.network();
  to.address = from.address();
  to.prefix_length = from.prefix_length();
  to.gateway = from.gateway();
  to.mac_address = from.mac_address();
  for (const auto& port : from.ports()) to.ports.push_back(GetPortBinding(port));
  to.network_id = from.network_id();
  to.endpoint_id = from.endpoint_id();
  to.address6 = from.address6();
  to.prefix_length6 = from.prefix_length6();
  to.gateway6 = from.gateway6();
  to.interface = from.interface();
  return to;
}

template <typename P>
void PutAttachment(const Attachment& from, P* to) {
  to->set_network(from.network);
  to->set_network_name(from.network_name);
  PutList(from.aliases, to->mutable_aliases());
  to->set_address(from.address);
  to->set_address6(from.address6);
  to->set_mac_address(from.mac_address);
  PutList(from.links, to->mutable_links());
  PutMap(from.driver_options, to->mutable_driver_options());
  to->set_gateway_priority(from.gateway_priority);
}

template <typename P>
Attachment GetAttachment(const P& from) {
  return Attachment{.network = from.network(),
                    .network_name = from.network_name(),
                    .aliases = GetList(from.aliases()),
                    .address = from.address(),
                    .address6 = from.address6(),
                    .mac_address = from.mac_address(),
                    .links = GetList(from.links()),
                    .driver_options = GetMap(from.driver_options()),
                    .gateway_priority = from.gateway_priority()};
}

// Everything but `builtin`, which is never stored.
template <typename P>
void PutVirtualNetwork(const VirtualNetwork& from, P* to) {
  to->set_id(from.id);
  to->set_name(from.name);
  to->set_driver(from.driver);
  to->set_created_unix_ns(from.created_unix_ns);
  to->set_internal(from.internal);
  to->set_attachable(from.attachable);
  to->set_enable_ipv6(from.enable_ipv6);
  PutMap(from.options, to->mutable_options());
  PutMap(from.labels, to->mutable_labels());
  to->set_ipam_driver(from.ipam_driver);
  PutMap(from.ipam_options, to->mutable_ipam_options());
  for (const Subnet& subnet : from.subnets) {
    auto* added = to->add_subnets();
    added->set_subnet(subnet.subnet);
    added->set_gateway(subnet.gateway);
    added->set_ip_range(subnet.ip_range);
    PutMap(subnet.auxiliary_addresses, added->mutable_auxiliary_addresses());
    added->set_requested(subnet.requested);
  }
}

template <typename P>
VirtualNetwork GetVirtualNetwork(const P& from) {
  VirtualNetwork to{.id = from.id(),
                    .name = from.name(),
                    .driver = from.driver(),
                    .created_unix_ns = from.created_unix_ns(),
                    .internal = from.internal(),
                    .attachable = from.attachable(),
                    .enable_ipv6 = from.enable_ipv6(),
                    .options = GetMap(from.options()),
                    .labels = GetMap(from.labels()),
                    .ipam_driver = from.ipam_driver(),
                    .ipam_options = GetMap(from.ipam_options())};
  for (const auto& subnet : from.subnets()) {
    to.subnets.push_back({.subnet = subnet.subnet(),
                          .gateway = subnet.gateway(),
                          .ip_range = subnet.ip_range(),
                          .auxiliary_addresses = GetMap(subnet.auxiliary_addresses()),
                          .requested = subnet.requested()});
  }
  return to;
}

template <typename Repeated>
void PutBlockLimits(const std::vector<BlockDeviceLimit>& from, Repeated* to) {
  for (const BlockDeviceLimit& limit : from) {
    auto* added = to->Add();
    added->set_path(limit.path);
    added->set_value(limit.value);
  }
}

template <typename Repeated>
std::vector<BlockDeviceLimit> GetBlockLimits(const Repeated& from) {
  std::vector<BlockDeviceLimit> to;
  for (const auto& limit : from) to.push_back({limit.path(), limit.value()});
  return to;
}

template <typename P>
void PutResources(const Resources& from, P* to) {
  to->set_nano_cpus(from.nano_cpus);
  to->set_cpu_shares(from.cpu_shares);
  to->set_cpu_quota_us(from.cpu_quota_us);
  to->set_cpu_period_us(from.cpu_period_us);
  to->set_cpuset_cpus(from.cpuset_cpus);
  to->set_cpuset_mems(from.cpuset_mems);
  to->set_memory_bytes(from.memory_bytes);
  to->set_memory_swap_bytes(from.memory_swap_bytes);
  to->set_memory_reservation_bytes(from.memory_reservation_bytes);
  to->set_pids_limit(from.pids_limit);
  to->set_oom_score_adj(from.oom_score_adj);
  to->set_oom_kill_disable(from.oom_kill_disable);
  to->set_cgroup_parent(from.cgroup_parent);
  to->set_blkio_weight(from.blkio_weight);
  PutBlockLimits(from.blkio_weight_devices, to->mutable_blkio_weight_devices());
  PutBlockLimits(from.blkio_read_bps_devices, to->mutable_blkio_read_bps_devices());
  PutBlockLimits(from.blkio_write_bps_devices, to->mutable_blkio_write_bps_devices());
  PutBlockLimits(from.blkio_read_iops_devices, to->mutable_blkio_read_iops_devices());
  PutBlockLimits(from.blkio_write_iops_devices, to->mutable_blkio_write_iops_devices());
  if (from.memory_swappiness) to->set_memory_swappiness(*from.memory_swappiness);
  to->set_kernel_memory_bytes(from.kernel_memory_bytes);
}

template <typename P>
Resources GetResources(const P& from) {
  return Resources{.nano_cpus = from.nano_cpus(),
                   .cpu_shares = from.cpu_shares(),
                   .cpu_quota_us = from.cpu_quota_us(),
                   .cpu_period_us = from.cpu_period_us(),
                   .cpuset_cpus = from.cpuset_cpus(),
                   .cpuset_mems = from.cpuset_mems(),
                   .memory_bytes = from.memory_bytes(),
                   .memory_swap_bytes = from.memory_swap_bytes(),
                   .memory_reservation_bytes = from.memory_reservation_bytes(),
                   .pids_limit = from.pids_limit(),
                   .oom_score_adj = from.oom_score_adj(),
                   .oom_kill_disable = from.oom_kill_disable(),
                   .cgroup_parent = from.cgroup_parent(),
                   .blkio_weight = from.blkio_weight(),
                   .blkio_weight_devices = GetBlockLimits(from.blkio_weight_devices()),
                   .blkio_read_bps_devices = GetBlockLimits(from.blkio_read_bps_devices()),
                   .blkio_write_bps_devices = GetBlockLimits(from.blkio_write_bps_devices()),
                   .blkio_read_iops_devices = GetBlockLimits(from.blkio_read_iops_devices()),
                   .blkio_write_iops_devices = GetBlockLimits(from.blkio_write_iops_devices()),
                   .memory_swappiness = from.has_memory_swappiness()
                                            ? std::optional<int64_t>(from.memory_swappiness())
                                            : std::nullopt,
                   .kernel_memory_bytes = from.kernel_memory_bytes()};
}

template <typename P>
void PutSecurity(const Security& from, P* to) {
  to->set_privileged(from.privileged);
  PutList(from.cap_add, to->mutable_cap_add());
  PutList(from.cap_drop, to->mutable_cap_drop());
  to->set_no_new_privileges(from.no_new_privileges);
  to->set_seccomp_profile(from.seccomp_profile);
  if (from.masked_paths) PutList(*from.masked_paths, to->mutable_masked_paths()->mutable_values());
  if (from.read_only_paths) {
    PutList(*from.read_only_paths, to->mutable_read_only_paths()->mutable_values());
  }
}

template <typename P>
Security GetSecurity(const P& from) {
  Security to;
  to.privileged = from.privileged();
  to.cap_add = GetList(from.cap_add());
  to.cap_drop = GetList(from.cap_drop());
  to.no_new_privileges = from.no_new_privileges();
  to.seccomp_profile = from.seccomp_profile();
  if (from.has_masked_paths()) to.masked_paths = GetList(from.masked_paths().values());
  if (from.has_read_only_paths()) to.read_only_paths = GetList(from.read_only_paths().values());
  return to;
}

template <typename P>
void PutNetwork(const Network& from, P* to) {
  to->set_mode(from.mode);
  for (const PortBinding& port : from.ports) PutPortBinding(port, to->add_ports());
  to->set_publish_all_ports(from.publish_all_ports);
  PutList(from.dns_servers, to->mutable_dns_servers());
  PutList(from.dns_search, to->mutable_dns_search());
  PutList(from.dns_options, to->mutable_dns_options());
  PutList(from.extra_hosts, to->mutable_extra_hosts());
  to->set_mac_address(from.mac_address);
  PutList(from.links, to->mutable_links());
  for (const Attachment& attachment : from.attachments) {
    PutAttachment(attachment, to->add_attachments());
  }
  to->set_attachments_are_all(from.attachments_are_all);
}

template <typename P>
Network GetNetwork(const P& from) {
  Network to;
  to.mode = from.mode();
  for (const auto& port : from.ports()) to.ports.push_back(GetPortBinding(port));
  to.publish_all_ports = from.publish_all_ports();
  to.dns_servers = GetList(from.dns_servers());
  to.dns_search = GetList(from.dns_search());
  to.dns_options = GetList(from.dns_options());
  to.extra_hosts = GetList(from.extra_hosts());
  to.mac_address = from.mac_address();
  to.links = GetList(from.links());
  for (const auto& attachment : from.attachments()) {
    to.attachments.push_back(GetAttachment(attachment));
  }
  to.attachments_are_all = from.attachments_are_all();
  return to;
}

template <typename P>
void PutMount(const Mount& from, P* to) {
  to->set_type(static_cast<decltype(to->type())>(from.type));
  to->set_source(from.source);
  to->set_target(from.target);
  to->set_read_only(from.read_only);
  to->set_propagation(from.propagation);
  to->set_tmpfs_size_bytes(from.tmpfs_size_bytes);
  to->set_tmpfs_mode(from.tmpfs_mode);
  to->set_tmpfs_options(from.tmpfs_options);
  to->set_create_source(from.create_source);
  to->set_non_recursive(from.non_recursive);
  to->set_read_only_non_recursive(from.read_only_non_recursive);
  to->set_read_only_force_recursive(from.read_only_force_recursive);
  to->set_volume_subpath(from.volume_subpath);
  to->set_volume_no_copy(from.volume_no_copy);
  to->set_anonymous(from.anonymous);
  to->set_mode(from.mode);
  to->set_host_path(from.host_path);
  PutMap(from.volume_labels, to->mutable_volume_labels());
  PutMap(from.volume_options, to->mutable_volume_options());
  to->set_volume_driver(from.volume_driver);
}

template <typename P>
Mount GetMount(const P& from) {
  const int type = static_cast<int>(from.type());
  return Mount{.type = type >= 0 && type <= static_cast<int>(Mount::Type::kTmpfs)
                           ? static_cast<Mount::Type>(type)
                           : Mount::Type::kUnspecified,
               .source = from.source(),
               .target = from.target(),
               .read_only = from.read_only(),
               .propagation = from.propagation(),
               .tmpfs_size_bytes = from.tmpfs_size_bytes(),
               .tmpfs_mode = from.tmpfs_mode(),
               .tmpfs_options = from.tmpfs_options(),
               .create_source = from.create_source(),
               .non_recursive = from.non_recursive(),
               .read_only_non_recursive = from.read_only_non_recursive(),
               .read_only_force_recursive = from.read_only_force_recursive(),
               .volume_subpath = from.volume_subpath(),
               .volume_no_copy = from.volume_no_copy(),
               .anonymous = from.anonymous(),
               .mode = from.mode(),
               .host_path = from.host_path(),
               .volume_labels = GetMap(from.volume_labels()),
               .volume_options = GetMap(from.volume_options()),
               .volume_driver = from.volume_driver()};
}

// What is as by default stays absent: a list of many containers is mostly this.
template <typename Value, typename Put>
void PutUnlessDefault(const Value& value, Put put) {
  if (!(value == Value{})) put();
}

// The parts of a spec that are messages or lists of messages.
template <typename P>
void PutSpecParts(const ContainerSpec& from, P* to) {
  if (from.healthcheck.has_value()) PutHealthcheck(*from.healthcheck, to->mutable_healthcheck());
  PutUnlessDefault(from.restart_policy, [&] {
    auto* policy = to->mutable_restart_policy();
    policy->set_mode(static_cast<decltype(policy->mode())>(from.restart_policy.mode));
    policy->set_maximum_retries(from.restart_policy.maximum_retries);
  });
  PutUnlessDefault(from.resources, [&] { PutResources(from.resources, to->mutable_resources()); });
  PutUnlessDefault(from.security, [&] { PutSecurity(from.security, to->mutable_security()); });
  PutUnlessDefault(from.namespaces, [&] {
    auto* namespaces = to->mutable_namespaces();
    namespaces->set_pid(from.namespaces.pid);
    namespaces->set_ipc(from.namespaces.ipc);
    namespaces->set_uts(from.namespaces.uts);
    namespaces->set_cgroup(from.namespaces.cgroup);
    namespaces->set_user(from.namespaces.user);
  });
  PutUnlessDefault(from.network, [&] { PutNetwork(from.network, to->mutable_network()); });
  for (const Mount& mount : from.mounts) PutMount(mount, to->add_mounts());
  for (const Device& device : from.devices) {
    auto* added = to->add_devices();
    added->set_path_on_host(device.path_on_host);
    added->set_path_in_container(device.path_in_container);
    added->set_cgroup_permissions(device.cgroup_permissions);
  }
  PutList(from.volumes_from, to->mutable_volumes_from());
  PutList(from.device_cgroup_rules, to->mutable_device_cgroup_rules());
  for (const Ulimit& limit : from.ulimits) {
    auto* ulimit = to->add_ulimits();
    ulimit->set_name(limit.name);
    ulimit->set_soft(limit.soft);
    ulimit->set_hard(limit.hard);
  }
  PutUnlessDefault(from.log, [&] {
    to->mutable_log()->set_driver(from.log.driver);
    PutMap(from.log.options, to->mutable_log()->mutable_options());
  });
  PutUnlessDefault(from.terminal_size, [&] {
    to->mutable_terminal_size()->set_rows(from.terminal_size.rows);
    to->mutable_terminal_size()->set_columns(from.terminal_size.columns);
  });
  PutUnlessDefault(from.platform, [&] {
    to->mutable_platform()->set_os(from.platform.os);
    to->mutable_platform()->set_architecture(from.platform.architecture);
    to->mutable_platform()->set_variant(from.platform.variant);
  });
}

template <typename P>
void GetSpecParts(const P& from, ContainerSpec* to) {
  if (from.has_healthcheck()) to->healthcheck = GetHealthcheck(from.healthcheck());
  // A mode of a newer client stays what it is, for validation to refuse.
  to->restart_policy.mode = static_cast<RestartPolicy::Mode>(from.restart_policy().mode());
  to->restart_policy.maximum_retries = from.restart_policy().maximum_retries();
  to->resources = GetResources(from.resources());
  to->security = GetSecurity(from.security());
  to->namespaces = Namespaces{.pid = from.namespaces().pid(),
                              .ipc = from.namespaces().ipc(),
                              .uts = from.namespaces().uts(),
                              .cgroup = from.namespaces().cgroup(),
                              .user = from.namespaces().user()};
  to->network = GetNetwork(from.network());
  for (const auto& mount : from.mounts()) to->mounts.push_back(GetMount(mount));
  for (const auto& device : from.devices()) {
    to->devices.push_back(
        {device.path_on_host(), device.path_in_container(), device.cgroup_permissions()});
  }
  to->volumes_from = GetList(from.volumes_from());
  to->device_cgroup_rules = GetList(from.device_cgroup_rules());
  for (const auto& limit : from.ulimits()) {
    to->ulimits.push_back(Ulimit{limit.name(), limit.soft(), limit.hard()});
  }
  to->log = LogPolicy{.driver = from.log().driver(), .options = GetMap(from.log().options())};
  to->terminal_size = TerminalSize{from.terminal_size().rows(), from.terminal_size().columns()};
  to->platform = Platform{.os = from.platform().os(),
                          .architecture = from.platform().architecture(),
                          .variant = from.platform().variant()};
}

template <typename P>
void PutSpec(const ContainerSpec& from, P* to) {
  to->set_image(from.image);
  if (from.entrypoint) PutList(*from.entrypoint, to->mutable_entrypoint()->mutable_values());
  PutList(from.command, to->mutable_command());
  PutList(from.env, to->mutable_env());
  to->set_working_directory(from.working_directory);
  to->set_user(from.user);
  PutList(from.additional_groups, to->mutable_additional_groups());
  to->set_hostname(from.hostname);
  to->set_domainname(from.domainname);
  to->set_tty(from.tty);
  to->set_open_stdin(from.open_stdin);
  to->set_stdin_once(from.stdin_once);
  PutMap(from.labels, to->mutable_labels());
  PutMap(from.annotations, to->mutable_annotations());
  to->set_stop_signal(from.stop_signal);
  if (from.stop_timeout_seconds) to->set_stop_timeout_seconds(*from.stop_timeout_seconds);
  PutList(from.exposed_ports, to->mutable_exposed_ports());
  PutList(from.volumes, to->mutable_volumes());
  to->set_auto_remove(from.auto_remove);
  to->set_read_only_root(from.read_only_root);
  to->set_init(from.init);
  to->set_shm_size_bytes(from.shm_size_bytes);
  PutMap(from.sysctls, to->mutable_sysctls());
  to->set_client_data(from.client_data);
  PutSpecParts(from, to);
}

template <typename P>
ContainerSpec GetSpec(const P& from) {
  ContainerSpec to;
  to.image = from.image();
  if (from.has_entrypoint()) to.entrypoint = GetList(from.entrypoint().values());
  to.command = GetList(from.command());
  to.env = GetList(from.env());
  to.working_directory = from.working_directory();
  to.user = from.user();
  to.additional_groups = GetList(from.additional_groups());
  to.hostname = from.hostname();
  to.domainname = from.domainname();
  to.tty = from.tty();
  to.open_stdin = from.open_stdin();
  to.stdin_once = from.stdin_once();
  to.labels = GetMap(from.labels());
  to.annotations = GetMap(from.annotations());
  to.stop_signal = from.stop_signal();
  if (from.has_stop_timeout_seconds()) to.stop_timeout_seconds = from.stop_timeout_seconds();
  to.exposed_ports = GetList(from.exposed_ports());
  to.volumes = GetList(from.volumes());
  to.auto_remove = from.auto_remove();
  to.read_only_root = from.read_only_root();
  to.init = from.init();
  to.shm_size_bytes = from.shm_size_bytes();
  to.sysctls = GetMap(from.sysctls());
  to.client_data = from.client_data();
  GetSpecParts(from, &to);
  return to;
}

}  // namespace slipway::container::codec

#endif  // SERVICES_CONTAINER_CODEC_SPEC_CODEC_H_
