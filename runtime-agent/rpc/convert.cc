#include "runtime-agent/rpc/convert.h"

#include <map>

namespace slipway::agent {
namespace {

template <typename Field>
std::vector<std::string> Strings(const Field& field) {
  return {field.begin(), field.end()};
}

// Sorted by name: the order of a map field means nothing.
template <typename Field>
std::vector<std::pair<std::string, std::string>> Pairs(const Field& field) {
  const std::map<std::string, std::string> sorted(field.begin(), field.end());
  return {sorted.begin(), sorted.end()};
}

template <typename Field>
std::vector<BlockDeviceSpec> BlockDevices(const Field& field) {
  std::vector<BlockDeviceSpec> devices;
  for (const auto& device : field) devices.push_back({device.path(), device.value()});
  return devices;
}

ResourceSpec Resources(const container::v1::Resources& in) {
  return {.nano_cpus = in.nano_cpus(),
          .cpu_shares = in.cpu_shares(),
          .cpu_quota_us = in.cpu_quota_us(),
          .cpu_period_us = in.cpu_period_us(),
          .cpuset_cpus = in.cpuset_cpus(),
          .cpuset_mems = in.cpuset_mems(),
          .memory_bytes = in.memory_bytes(),
          .memory_swap_bytes = in.memory_swap_bytes(),
          .memory_reservation_bytes = in.memory_reservation_bytes(),
          .pids_limit = in.pids_limit(),
          .oom_score_adj = in.oom_score_adj(),
          .oom_kill_disable = in.oom_kill_disable(),
          .cgroup_parent = in.cgroup_parent(),
          .blkio_weight = in.blkio_weight(),
          .blkio_weight_devices = BlockDevices(in.blkio_weight_devices()),
          .blkio_read_bps_devices = BlockDevices(in.blkio_read_bps_devices()),
          .blkio_write_bps_devices = BlockDevices(in.blkio_write_bps_devices()),
          .blkio_read_iops_devices = BlockDevices(in.blkio_read_iops_devices()),
          .blkio_write_iops_devices = BlockDevices(in.blkio_write_iops_devices()),
          .memory_swappiness = in.has_memory_swappiness()
                                   ? std::optional<int64_t>(in.memory_swappiness())
                                   : std::nullopt};
}

SecuritySpec Security(const container::v1::Security& in) {
  SecuritySpec out{.privileged = in.privileged(),
                   .cap_add = Strings(in.cap_add()),
                   .cap_drop = Strings(in.cap_drop()),
                   .no_new_privileges = in.no_new_privileges(),
                   .seccomp_profile = in.seccomp_profile()};
  if (in.has_masked_paths()) out.masked_paths = Strings(in.masked_paths().values());
  if (in.has_read_only_paths()) out.read_only_paths = Strings(in.read_only_paths().values());
  return out;
}

NetworkSpec Network(const container::v1::Network& in) {
  NetworkSpec out{.mode = in.mode(),
                  .publish_all_ports = in.publish_all_ports(),
                  .dns_servers = Strings(in.dns_servers()),
                  .dns_search = Strings(in.dns_search()),
                  .dns_options = Strings(in.dns_options()),
                  .extra_hosts = Strings(in.extra_hosts()),
                  .mac_address = in.mac_address()};
  for (const container::v1::PortBinding& port : in.ports()) {
    out.ports.push_back({.container_port = port.container_port(),
                         .protocol = port.protocol(),
                         .host_address = port.host_address(),
                         .host_port = port.host_port(),
                         .host_port_last = port.host_port_last()});
  }
  return out;
}

MountSpec Mount(const container::v1::Mount& in) {
  MountSpec out{.source = in.source(),
                .target = in.target(),
                .read_only = in.read_only(),
                .propagation = in.propagation(),
                .tmpfs_size_bytes = in.tmpfs_size_bytes(),
                .tmpfs_mode = in.tmpfs_mode(),
                .tmpfs_options = in.tmpfs_options(),
                .create_source = in.create_source(),
                .non_recursive = in.non_recursive(),
                .read_only_non_recursive = in.read_only_non_recursive(),
                .volume_subpath = in.volume_subpath(),
                .volume_no_copy = in.volume_no_copy()};
  if (in.type() == container::v1::Mount::TYPE_VOLUME) out.type = MountSpec::Type::kVolume;
  if (in.type() == container::v1::Mount::TYPE_TMPFS) out.type = MountSpec::Type::kTmpfs;
  return out;
}

ContainerSpec Spec(const container::v1::ContainerSpec& in) {
  ContainerSpec out;
  out.additional_groups = Strings(in.additional_groups());
  out.domainname = in.domainname();
  out.tty = in.tty();
  out.open_stdin = in.open_stdin();
  out.stdin_once = in.stdin_once();
  out.auto_remove = in.auto_remove();
  out.read_only_root = in.read_only_root();
  out.init = in.init();
  out.shm_size_bytes = in.shm_size_bytes();
  out.exposed_ports = Strings(in.exposed_ports());
  out.volumes = Strings(in.volumes());
  out.resources = Resources(in.resources());
  out.security = Security(in.security());
  out.namespaces = {.pid = in.namespaces().pid(),
                    .ipc = in.namespaces().ipc(),
                    .uts = in.namespaces().uts(),
                    .cgroup = in.namespaces().cgroup(),
                    .user = in.namespaces().user()};
  out.network = Network(in.network());
  for (const container::v1::Mount& mount : in.mounts()) out.mounts.push_back(Mount(mount));
  out.sysctls = Pairs(in.sysctls());
  for (const container::v1::Ulimit& limit : in.ulimits()) {
    out.ulimits.push_back({limit.name(), limit.soft(), limit.hard()});
  }
  out.log_driver = in.log().driver();
  out.log_options = Pairs(in.log().options());
  out.terminal_rows = in.terminal_size().rows();
  out.terminal_columns = in.terminal_size().columns();
  for (const container::v1::Device& device : in.devices()) {
    out.devices.push_back(
        {device.path_on_host(), device.path_in_container(), device.cgroup_permissions()});
  }
  out.device_cgroup_rules = Strings(in.device_cgroup_rules());
  return out;
}

const char* ProtocolName(PortProtocol protocol) {
  switch (protocol) {
    case PortProtocol::kTcp:
      return "tcp";
    case PortProtocol::kUdp:
      return "udp";
    case PortProtocol::kSctp:
      return "sctp";
  }
  return "";
}

void AddEndpoint(const ContainerReport& report, v1::ContainerActual* out) {
  using Kind = NamespaceMode::Kind;
  const Kind kind = report.network.kind;
  const bool in_none = kind == Kind::kNone && report.actual.endpoints.empty();
  if (in_none || kind == Kind::kHost) {
    out->add_endpoints()->set_network(in_none ? "none" : "host");
    return;
  }
  for (const Endpoint& from : report.actual.endpoints) {
    container::v1::Endpoint* to = out->add_endpoints();
    to->set_network(from.network_name);
    to->set_network_id(from.network_id);
    to->set_address(from.address);
    to->set_prefix_length(from.prefix_length);
    to->set_gateway(from.gateway);
    to->set_mac_address(from.mac_address);
    to->set_endpoint_id(from.endpoint_id);
    to->set_address6(from.address6);
    to->set_prefix_length6(from.prefix_length6);
    to->set_gateway6(from.gateway6);
    to->set_interface(from.interface);
    for (const PublishedPort& port : from.ports) {
      container::v1::PortBinding* binding = to->add_ports();
      binding->set_container_port(port.container_port);
      binding->set_protocol(ProtocolName(port.protocol));
      binding->set_host_address(port.host_address.empty() ? "0.0.0.0" : port.host_address);
      binding->set_host_port(port.host_port);
    }
  }
}

}  // namespace

PrepareCommand FromWire(const v1::PrepareContainerRequest& request) {
  return {.id = request.container_id(),
          .name = request.name(),
          .sandbox_id = request.sandbox_id(),
          .spec = Spec(request.spec()),
          .argv = Strings(request.argv()),
          .env = Strings(request.env()),
          .working_directory = request.working_directory(),
          .user = request.user(),
          .layer_diff_ids = Strings(request.layer_diff_ids()),
          .hostname = request.hostname(),
          .image = request.spec().image(),
          .image_id = request.image_id(),
          .labels = Pairs(request.labels()),
          .created_unix_ns = request.created_unix_ns()};
}

ExecCommand FromWire(const v1::StartExecRequest& request) {
  const container::v1::ExecSpec& spec = request.spec();
  ExecCommand command{.exec_id = request.exec_id(),
                      .container_id = request.container_id(),
                      .argv = Strings(spec.command()),
                      .env = Strings(request.env()),
                      .user = spec.user().empty() ? request.user() : spec.user(),
                      .working_directory = spec.working_directory().empty()
                                               ? request.working_directory()
                                               : spec.working_directory(),
                      .tty = spec.tty(),
                      .stdin_open = spec.attach_stdin(),
                      .privileged = spec.privileged(),
                      .detach = request.detach(),
                      .rows = request.terminal_size().rows(),
                      .columns = request.terminal_size().columns()};
  command.env.insert(command.env.end(), spec.env().begin(), spec.env().end());
  return command;
}

ExecCommand FromWire(const v1::RunProbeRequest& request) {
  v1::StartExecRequest exec;
  exec.set_exec_id(request.exec_id());
  exec.set_container_id(request.container_id());
  *exec.mutable_spec() = request.spec();
  *exec.mutable_env() = request.env();
  exec.set_user(request.user());
  exec.set_working_directory(request.working_directory());
  ExecCommand command = FromWire(exec);
  command.transient = true;
  return command;
}

NetworkDefinition FromWire(const container::v1::VirtualNetwork& network) {
  NetworkDefinition to{.id = network.id(),
                       .name = network.name(),
                       .driver = network.driver(),
                       .internal = network.internal(),
                       .enable_ipv6 = network.enable_ipv6(),
                       .options = {network.options().begin(), network.options().end()}};
  for (const container::v1::Subnet& subnet : network.subnets()) {
    SubnetDefinition added{subnet.subnet(), subnet.gateway(), subnet.ip_range(), {}};
    for (const auto& [name, address] : Pairs(subnet.auxiliary_addresses())) {
      added.reserved.push_back(address);
    }
    to.subnets.push_back(std::move(added));
  }
  return to;
}

AttachmentSpec FromWire(const v1::NetworkAttachment& attachment) {
  return {
      .network_id = attachment.network_id(),
      .address = attachment.address(),
      .address6 = attachment.address6(),
      .mac_address = attachment.mac_address(),
      .gateway_priority = attachment.gateway_priority(),
      .names = Strings(attachment.names()),
      .links = {attachment.links().begin(), attachment.links().end()},
      .driver_options = {attachment.driver_options().begin(), attachment.driver_options().end()}};
}

ResourceSpec FromWire(const container::v1::Resources& resources) { return Resources(resources); }

v1::ContainerActual ToWire(const ContainerReport& report) {
  const Actual& actual = report.actual;
  v1::ContainerActual out;
  out.set_container_id(report.id);
  if (actual.pid != 0) {
    out.set_status(v1::ContainerActual::STATUS_RUNNING);
    AddEndpoint(report, &out);
  } else {
    // A start that failed leaves what was before it.
    out.set_status(actual.runs > 0 ? v1::ContainerActual::STATUS_EXITED
                                   : v1::ContainerActual::STATUS_PREPARED);
  }
  out.set_pid(actual.pid);
  out.set_started_unix_ns(actual.started_ns);
  out.set_finished_unix_ns(actual.finished_ns);
  out.set_exit_code(actual.exit_code);
  out.set_oom_killed(actual.oom_killed);
  out.set_paused(actual.paused);
  return out;
}

v1::WatchAgentEventsResponse ToWire(const HostEvent& event) {
  v1::WatchAgentEventsResponse out;
  out.set_sequence(event.sequence);
  out.set_time_unix_ns(event.time_ns);
  switch (event.kind) {
    case HostEvent::Kind::kStarted:
      *out.mutable_container_started() = ToWire(event.container);
      break;
    case HostEvent::Kind::kExited:
      *out.mutable_container_exited() = ToWire(event.container);
      break;
    case HostEvent::Kind::kExecExited:
      out.mutable_exec_exited()->set_exec_id(event.exec.exec_id);
      out.mutable_exec_exited()->set_container_id(event.exec.container_id);
      out.mutable_exec_exited()->set_exit_code(event.exec.exit_code);
      break;
    case HostEvent::Kind::kRemoved:
      out.set_container_removed(event.container.id);
      break;
    case HostEvent::Kind::kOutOfMemory:
      out.set_container_out_of_memory(event.container.id);
      break;
  }
  return out;
}

}  // namespace slipway::agent
