#include "runtime-agent/store/record_codec.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "slipway/storage/v1/agent/agent.pb.h"

namespace slipway::agent {
namespace {

namespace disk = storage::v1::agent;

template <typename Field>
void PutList(const std::vector<std::string>& list, Field* field) {
  for (const std::string& text : list) *field->Add() = text;
}

template <typename Field>
std::vector<std::string> GetList(const Field& field) {
  return {field.begin(), field.end()};
}

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view bytes, const char* what) {
  Message message;
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return message;
  return absl::DataLossError(std::string("a stored record cannot be read: ") + what);
}

void Put(const NamespaceMode& mode, disk::Namespace* out) {
  out->set_kind(static_cast<uint32_t>(mode.kind));
  out->set_container_id(mode.container_id);
}

NamespaceMode Get(const disk::Namespace& in) {
  return {static_cast<NamespaceMode::Kind>(in.kind()), in.container_id()};
}

void Put(const PublishedPort& port, disk::Port* out) {
  out->set_container_port(port.container_port);
  out->set_protocol(static_cast<uint32_t>(port.protocol));
  out->set_host_address(port.host_address);
  out->set_host_port(port.host_port);
  out->set_host_port_last(port.host_port_last);
}

PublishedPort Get(const disk::Port& in) {
  return {static_cast<uint16_t>(in.container_port()), static_cast<PortProtocol>(in.protocol()),
          in.host_address(), static_cast<uint16_t>(in.host_port()),
          static_cast<uint16_t>(in.host_port_last())};
}

void Put(const CgroupLimits& limits, disk::Limits* out) {
  out->set_nano_cpus(limits.nano_cpus);
  out->set_cpu_shares(limits.cpu_shares);
  out->set_cpu_quota_us(limits.cpu_quota_us);
  out->set_cpu_period_us(limits.cpu_period_us);
  out->set_cpuset_cpus(limits.cpuset_cpus);
  out->set_cpuset_mems(limits.cpuset_mems);
  out->set_memory_bytes(limits.memory_bytes);
  out->set_memory_swap_bytes(limits.memory_swap_bytes);
  out->set_memory_reservation_bytes(limits.memory_reservation_bytes);
  out->set_pids_limit(limits.pids_limit);
  out->set_oom_kill_disable(limits.oom_kill_disable);
  out->set_blkio_weight(limits.blkio_weight);
  out->set_all_devices(limits.all_devices);
  for (const DeviceRule& rule : limits.devices) {
    disk::DeviceRule* added = out->add_devices();
    added->set_type(static_cast<uint32_t>(rule.type));
    added->set_major(rule.major);
    added->set_minor(rule.minor);
    added->set_access(rule.access.data());
  }
  for (const BlockLimit& limit : limits.block_limits) {
    disk::BlockLimit* added = out->add_block_limits();
    added->set_kind(static_cast<uint32_t>(limit.kind));
    added->set_major(limit.major);
    added->set_minor(limit.minor);
    added->set_value(limit.value);
  }
  if (limits.memory_swappiness) out->set_memory_swappiness(*limits.memory_swappiness);
}

DeviceRule Get(const disk::DeviceRule& in) {
  DeviceRule rule{.type = static_cast<char>(in.type()), .major = in.major(), .minor = in.minor()};
  in.access().copy(rule.access.data(), rule.access.size() - 1);
  return rule;
}

CgroupLimits Get(const disk::Limits& in) {
  CgroupLimits limits = {.nano_cpus = in.nano_cpus(),
                         .cpu_shares = in.cpu_shares(),
                         .cpu_quota_us = in.cpu_quota_us(),
                         .cpu_period_us = in.cpu_period_us(),
                         .cpuset_cpus = in.cpuset_cpus(),
                         .cpuset_mems = in.cpuset_mems(),
                         .memory_bytes = in.memory_bytes(),
                         .memory_swap_bytes = in.memory_swap_bytes(),
                         .memory_reservation_bytes = in.memory_reservation_bytes(),
                         .pids_limit = in.pids_limit(),
                         .oom_kill_disable = in.oom_kill_disable(),
                         .blkio_weight = in.blkio_weight(),
                         .all_devices = in.all_devices()};
  for (const disk::DeviceRule& rule : in.devices()) limits.devices.push_back(Get(rule));
  for (const disk::BlockLimit& limit : in.block_limits()) {
    limits.block_limits.push_back(
        {static_cast<BlockLimit::Kind>(limit.kind()), limit.major(), limit.minor(), limit.value()});
  }
  if (in.has_memory_swappiness()) limits.memory_swappiness = in.memory_swappiness();
  return limits;
}

void Put(const DefinedMount& mount, disk::Mount* out) {
  out->set_kind(static_cast<uint32_t>(mount.kind));
  out->set_source(mount.source);
  out->set_target(mount.target);
  out->set_read_only(mount.read_only);
  out->set_propagation(mount.propagation);
  out->set_recursive(mount.recursive);
  out->set_create_source(mount.create_source);
  out->set_tmpfs_flags(mount.tmpfs_flags);
  out->set_tmpfs_data(mount.tmpfs_data);
  out->set_read_only_recursion(static_cast<uint32_t>(mount.read_only_recursion));
  out->set_subpath(mount.subpath);
  out->set_no_copy(mount.no_copy);
}

DefinedMount Get(const disk::Mount& in) {
  return {.kind = static_cast<DefinedMount::Kind>(in.kind()),
          .source = in.source(),
          .target = in.target(),
          .read_only = in.read_only(),
          .read_only_recursion = static_cast<DefinedMount::Recursion>(in.read_only_recursion()),
          .propagation = in.propagation(),
          .recursive = in.recursive(),
          .create_source = in.create_source(),
          .tmpfs_flags = in.tmpfs_flags(),
          .tmpfs_data = in.tmpfs_data(),
          .subpath = in.subpath(),
          .no_copy = in.no_copy()};
}

void PutProcess(const Definition& from, disk::Definition* out) {
  PutList(from.argv, out->mutable_argv());
  PutList(from.env, out->mutable_env());
  out->set_working_directory(from.working_directory);
  out->set_user_text(from.user_text);
  PutList(from.additional_groups, out->mutable_additional_groups());
  out->mutable_user()->set_uid(from.user.uid);
  out->mutable_user()->set_gid(from.user.gid);
  for (uint32_t group : from.user.groups) out->mutable_user()->add_groups(group);
  out->mutable_user()->set_home(from.user.home);
  out->set_hostname(from.hostname);
  out->set_domainname(from.domainname);
  out->set_tty(from.tty);
  out->set_open_stdin(from.open_stdin);
  out->set_stdin_once(from.stdin_once);
  out->set_auto_remove(from.auto_remove);
  out->set_read_only_root(from.read_only_root);
  out->set_shm_size_bytes(from.shm_size_bytes);
  out->set_rows(from.rows);
  out->set_columns(from.columns);
  out->set_ship_log(from.ship_log);
  out->set_drop_when_full(from.drop_when_full);
  out->set_spool_capacity_bytes(from.spool_capacity_bytes);
}

void GetProcess(const disk::Definition& in, Definition* to) {
  to->argv = GetList(in.argv());
  to->env = GetList(in.env());
  to->working_directory = in.working_directory();
  to->user_text = in.user_text();
  to->additional_groups = GetList(in.additional_groups());
  to->user = {in.user().uid(),
              in.user().gid(),
              {in.user().groups().begin(), in.user().groups().end()},
              in.user().home()};
  to->hostname = in.hostname();
  to->domainname = in.domainname();
  to->tty = in.tty();
  to->open_stdin = in.open_stdin();
  to->stdin_once = in.stdin_once();
  to->auto_remove = in.auto_remove();
  to->read_only_root = in.read_only_root();
  to->shm_size_bytes = in.shm_size_bytes();
  to->rows = static_cast<uint16_t>(in.rows());
  to->columns = static_cast<uint16_t>(in.columns());
  to->ship_log = in.ship_log();
  to->drop_when_full = in.drop_when_full();
  to->spool_capacity_bytes = in.spool_capacity_bytes();
}

void PutLogged(const Definition& from, disk::Definition* out) {
  const LoggedContainer& logged = from.logged;
  disk::LogDescription* to = out->mutable_log_description();
  to->set_image(logged.image);
  to->set_image_id(logged.image_id);
  for (const auto& [key, value] : logged.labels) (*to->mutable_labels())[key] = value;
  PutList(logged.env, to->mutable_env());
  to->set_driver(logged.driver);
  for (const auto& [key, value] : logged.options) (*to->mutable_options())[key] = value;
  to->set_created_unix_ns(logged.created_unix_ns);
}

void GetLogged(const disk::Definition& in, Definition* to) {
  const disk::LogDescription& from = in.log_description();
  to->logged = {.name = in.name(),
                .image = from.image(),
                .image_id = from.image_id(),
                .labels = {from.labels().begin(), from.labels().end()},
                .env = GetList(from.env()),
                .argv = to->argv,
                .tty = in.tty(),
                .driver = from.driver(),
                .options = {from.options().begin(), from.options().end()},
                .created_unix_ns = from.created_unix_ns()};
}

void PutIsolation(const Definition& from, disk::Definition* out) {
  Put(from.limits, out->mutable_limits());
  out->mutable_limits()->set_parent(from.cgroup_parent);
  out->set_init(from.init);
  if (from.first_uid != 0) {
    out->add_uid_map()->set_outside(from.first_uid);
    out->add_gid_map()->set_outside(from.first_gid);
  }
  out->set_oom_score_adj(from.oom_score_adj);
  for (const DefinedRlimit& limit : from.rlimits) {
    disk::Rlimit* added = out->add_rlimits();
    added->set_resource(limit.resource);
    added->set_soft(limit.soft);
    added->set_hard(limit.hard);
  }
  for (const auto& [key, value] : from.sysctls) {
    disk::Sysctl* added = out->add_sysctls();
    added->set_key(key);
    added->set_value(value);
  }
  out->set_privileged(from.privileged);
  out->set_capabilities(from.capabilities);
  out->set_no_new_privileges(from.no_new_privileges);
  out->set_seccomp_profile(from.seccomp_profile);
  PutList(from.masked_paths, out->mutable_masked_paths());
  PutList(from.read_only_paths, out->mutable_read_only_paths());
  for (const DefinedDevice& device : from.host_devices) {
    disk::Device* added = out->add_host_devices();
    added->set_path(device.path);
    added->set_mode(device.mode);
    added->set_major(device.major);
    added->set_minor(device.minor);
    added->set_uid(device.uid);
    added->set_gid(device.gid);
  }
}

void GetIsolation(const disk::Definition& in, Definition* to) {
  to->limits = Get(in.limits());
  to->cgroup_parent = in.limits().parent();
  to->init = in.init();
  if (in.uid_map_size() > 0 && in.gid_map_size() > 0) {
    to->first_uid = in.uid_map(0).outside();
    to->first_gid = in.gid_map(0).outside();
  }
  to->oom_score_adj = in.oom_score_adj();
  for (const disk::Rlimit& limit : in.rlimits()) {
    to->rlimits.push_back({limit.resource(), limit.soft(), limit.hard()});
  }
  for (const disk::Sysctl& sysctl : in.sysctls()) {
    to->sysctls.emplace_back(sysctl.key(), sysctl.value());
  }
  to->privileged = in.privileged();
  to->capabilities = in.capabilities();
  to->no_new_privileges = in.no_new_privileges();
  to->seccomp_profile = in.seccomp_profile();
  to->masked_paths = GetList(in.masked_paths());
  to->read_only_paths = GetList(in.read_only_paths());
  for (const disk::Device& device : in.host_devices()) {
    to->host_devices.push_back(
        {device.path(), device.mode(), device.major(), device.minor(), device.uid(), device.gid()});
  }
}

void Put(const Endpoint& endpoint, disk::NetworkEndpoint* out) {
  out->set_id(endpoint.id);
  out->set_address(endpoint.address);
  out->set_prefix_length(endpoint.prefix_length);
  out->set_gateway(endpoint.gateway);
  out->set_mac_address(endpoint.mac_address);
  out->set_host_interface(endpoint.host_interface);
  for (const PublishedPort& port : endpoint.ports) Put(port, out->add_ports());
  out->set_network_id(endpoint.network_id);
  out->set_network_name(endpoint.network_name);
  out->set_endpoint_id(endpoint.endpoint_id);
  out->set_address6(endpoint.address6);
  out->set_prefix_length6(endpoint.prefix_length6);
  out->set_gateway6(endpoint.gateway6);
  out->set_interface(endpoint.interface);
  out->set_gateway_priority(endpoint.gateway_priority);
  PutList(endpoint.names, out->mutable_names());
  for (const auto& [name, id] : endpoint.links) (*out->mutable_links())[name] = id;
}

Endpoint Get(const disk::NetworkEndpoint& in) {
  Endpoint endpoint;
  endpoint.id = in.id();
  endpoint.address = in.address();
  endpoint.prefix_length = in.prefix_length();
  endpoint.gateway = in.gateway();
  endpoint.mac_address = in.mac_address();
  endpoint.host_interface = in.host_interface();
  for (const disk::Port& port : in.ports()) endpoint.ports.push_back(Get(port));
  // A record from before there were other networks names none.
  endpoint.network_id = in.network_id().empty() ? kDefaultNetworkId : in.network_id();
  endpoint.network_name = in.network_name().empty() ? "bridge" : in.network_name();
  endpoint.endpoint_id = in.endpoint_id().empty() ? in.id() : in.endpoint_id();
  endpoint.address6 = in.address6();
  endpoint.prefix_length6 = in.prefix_length6();
  endpoint.gateway6 = in.gateway6();
  endpoint.interface = in.interface().empty() ? "eth0" : in.interface();
  endpoint.gateway_priority = in.gateway_priority();
  endpoint.names = GetList(in.names());
  endpoint.links = {in.links().begin(), in.links().end()};
  return endpoint;
}

void Put(const Actual& actual, disk::Actual* out) {
  out->set_state(static_cast<uint32_t>(actual.state));
  out->set_pid(actual.pid);
  out->set_started_ns(actual.started_ns);
  out->set_finished_ns(actual.finished_ns);
  out->set_exit_code(actual.exit_code);
  out->set_oom_killed(actual.oom_killed);
  out->set_paused(actual.paused);
  for (const Endpoint& endpoint : actual.endpoints) Put(endpoint, out->add_endpoints());
  out->set_incarnation(actual.incarnation);
  out->set_runs(actual.runs);
  for (uint64_t end : actual.run_ends) out->add_run_ends(end);
}

Actual Get(const disk::Actual& in) {
  Actual actual;
  actual.state = static_cast<ContainerState>(in.state());
  actual.pid = in.pid();
  actual.started_ns = in.started_ns();
  actual.finished_ns = in.finished_ns();
  actual.exit_code = in.exit_code();
  actual.oom_killed = in.oom_killed();
  actual.paused = in.paused();
  for (const disk::NetworkEndpoint& one : in.endpoints()) actual.endpoints.push_back(Get(one));
  actual.incarnation = in.incarnation();
  actual.runs = in.runs();
  actual.run_ends = {in.run_ends().begin(), in.run_ends().end()};
  return actual;
}

}  // namespace

std::string EncodeDefinition(const Definition& from) {
  disk::Definition out;
  out.set_id(from.id);
  out.set_name(from.name);
  PutList(from.layer_diff_ids, out.mutable_layer_diff_ids());
  PutProcess(from, &out);
  PutLogged(from, &out);
  PutIsolation(from, &out);
  Put(from.pid, out.mutable_pid());
  Put(from.ipc, out.mutable_ipc());
  Put(from.uts, out.mutable_uts());
  Put(from.cgroup, out.mutable_cgroup());
  Put(from.network, out.mutable_network());
  for (const PublishedPort& port : from.ports) Put(port, out.add_ports());
  out.set_mac_address(from.mac_address);
  PutList(from.dns_servers, out.mutable_dns_servers());
  PutList(from.dns_search, out.mutable_dns_search());
  PutList(from.dns_options, out.mutable_dns_options());
  PutList(from.extra_hosts, out.mutable_extra_hosts());
  for (const DefinedMount& mount : from.mounts) Put(mount, out.add_mounts());
  return out.SerializeAsString();
}

absl::StatusOr<Definition> DecodeDefinition(absl::string_view bytes) {
  auto in = Parse<disk::Definition>(bytes, "definition");
  if (!in.ok()) return in.status();
  Definition to;
  to.id = in->id();
  to.name = in->name();
  to.layer_diff_ids = GetList(in->layer_diff_ids());
  GetProcess(*in, &to);
  GetLogged(*in, &to);
  GetIsolation(*in, &to);
  to.pid = Get(in->pid());
  to.ipc = Get(in->ipc());
  to.uts = Get(in->uts());
  to.cgroup = Get(in->cgroup());
  to.network = Get(in->network());
  for (const disk::Port& port : in->ports()) to.ports.push_back(Get(port));
  to.mac_address = in->mac_address();
  to.dns_servers = GetList(in->dns_servers());
  to.dns_search = GetList(in->dns_search());
  to.dns_options = GetList(in->dns_options());
  to.extra_hosts = GetList(in->extra_hosts());
  for (const disk::Mount& mount : in->mounts()) to.mounts.push_back(Get(mount));
  return to;
}

std::string EncodeActual(const Actual& actual) {
  disk::Actual out;
  Put(actual, &out);
  return out.SerializeAsString();
}

absl::StatusOr<Actual> DecodeActual(absl::string_view bytes) {
  auto in = Parse<disk::Actual>(bytes, "actual state");
  if (!in.ok()) return in.status();
  if (in->state() >= kContainerStates) return absl::DataLossError("a stored state is unknown");
  return Get(*in);
}

std::string EncodeEvent(const HostEvent& event) {
  disk::HostEvent out;
  out.set_sequence(event.sequence);
  out.set_time_ns(event.time_ns);
  out.set_kind(static_cast<uint32_t>(event.kind));
  if (event.kind == HostEvent::Kind::kExecExited) {
    out.set_id(event.exec.container_id);
    out.set_exec_id(event.exec.exec_id);
    out.set_exec_exit_code(event.exec.exit_code);
    return out.SerializeAsString();
  }
  out.set_id(event.container.id);
  Put(event.container.actual, out.mutable_actual());
  Put(event.container.network, out.mutable_network());
  return out.SerializeAsString();
}

absl::StatusOr<HostEvent> DecodeEvent(absl::string_view bytes) {
  auto in = Parse<disk::HostEvent>(bytes, "event");
  if (!in.ok()) return in.status();
  HostEvent event;
  event.sequence = in->sequence();
  event.time_ns = in->time_ns();
  event.kind = static_cast<HostEvent::Kind>(in->kind());
  if (event.kind == HostEvent::Kind::kExecExited) {
    event.exec = {in->exec_id(), in->id(), in->exec_exit_code()};
  } else {
    event.container = {in->id(), Get(in->actual()), Get(in->network())};
  }
  return event;
}

std::string EncodeNetwork(const NetworkDefinition& network) {
  disk::VirtualNetwork out;
  out.set_id(network.id);
  out.set_name(network.name);
  out.set_driver(network.driver);
  out.set_internal(network.internal);
  out.set_enable_ipv6(network.enable_ipv6);
  for (const auto& [key, value] : network.options) (*out.mutable_options())[key] = value;
  for (const SubnetDefinition& subnet : network.subnets) {
    disk::Subnet* added = out.add_subnets();
    added->set_subnet(subnet.subnet);
    added->set_gateway(subnet.gateway);
    added->set_ip_range(subnet.ip_range);
    PutList(subnet.reserved, added->mutable_reserved());
  }
  return out.SerializeAsString();
}

absl::StatusOr<NetworkDefinition> DecodeNetwork(absl::string_view bytes) {
  auto in = Parse<disk::VirtualNetwork>(bytes, "network");
  if (!in.ok()) return in.status();
  NetworkDefinition network{.id = in->id(),
                            .name = in->name(),
                            .driver = in->driver(),
                            .internal = in->internal(),
                            .enable_ipv6 = in->enable_ipv6(),
                            .options = {in->options().begin(), in->options().end()}};
  for (const disk::Subnet& subnet : in->subnets()) {
    network.subnets.push_back(
        {subnet.subnet(), subnet.gateway(), subnet.ip_range(), GetList(subnet.reserved())});
  }
  return network;
}

std::string EncodeExec(const ExecRecord& exec) {
  disk::Exec out;
  out.set_exec_id(exec.exec_id);
  out.set_container_id(exec.container_id);
  out.set_pid(exec.pid);
  out.set_finished_ns(exec.finished_ns);
  out.set_exit_code(exec.exit_code);
  return out.SerializeAsString();
}

absl::StatusOr<ExecRecord> DecodeExec(absl::string_view bytes) {
  auto in = Parse<disk::Exec>(bytes, "exec");
  if (!in.ok()) return in.status();
  return ExecRecord{in->exec_id(), in->container_id(), in->pid(), in->finished_ns(),
                    in->exit_code()};
}

}  // namespace slipway::agent
