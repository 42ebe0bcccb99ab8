#include "cli/run_options.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

using container::v1::ContainerSpec;
using container::v1::RestartPolicy;

absl::Status Bad(absl::string_view option, absl::string_view value, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid value \"", value, "\" for ", option, ": ", why));
}

struct PortRange {
  uint32_t first = 0, last = 0;
};

absl::StatusOr<PortRange> ParseRange(absl::string_view text, absl::string_view whole) {
  PortRange range;
  const std::vector<absl::string_view> ends = absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(ends.front(), &range.first) ||
      !absl::SimpleAtoi(ends.back(), &range.last) || range.first < 1 || range.last > 65535 ||
      range.first > range.last) {
    return Bad("--publish", whole,
               absl::StrCat("\"", text, "\" is not a port or a range of ports"));
  }
  return range;
}

absl::Status SetRestart(absl::string_view text, RestartPolicy& out) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  int retries = 0;
  if (parts.size() == 2 && (!absl::SimpleAtoi(parts[1], &retries) || parts[0] != "on-failure")) {
    return Bad("--restart", text, "only on-failure takes a number");
  }
  out.set_maximum_retries(retries);
  if (text.empty() || parts[0] == "no") {
    out.set_mode(RestartPolicy::MODE_NO);
  } else if (parts[0] == "always") {
    out.set_mode(RestartPolicy::MODE_ALWAYS);
  } else if (parts[0] == "on-failure") {
    out.set_mode(RestartPolicy::MODE_ON_FAILURE);
  } else if (parts[0] == "unless-stopped") {
    out.set_mode(RestartPolicy::MODE_UNLESS_STOPPED);
  } else {
    return Bad("--restart", text, "not one of no, always, on-failure[:N], unless-stopped");
  }
  return absl::OkStatus();
}

absl::Status SetSecurity(const RunOptions& options, container::v1::Security& out) {
  out.set_privileged(options.privileged);
  for (const std::string& name : options.cap_add) out.add_cap_add(name);
  for (const std::string& name : options.cap_drop) out.add_cap_drop(name);
  for (const std::string& text : options.security) {
    absl::string_view value = text;
    if (text == "no-new-privileges" || text == "no-new-privileges=true") {
      out.set_no_new_privileges(true);
    } else if (absl::ConsumePrefix(&value, "seccomp=")) {
      if (value == "unconfined") {
        out.set_seccomp_profile("unconfined");
      } else {
        ASSIGN_OR_RETURN(*out.mutable_seccomp_profile(), ReadFile(std::string(value), 1 << 20));
      }
    } else {
      return Bad("--security-opt", text, "not one of no-new-privileges, seccomp=...");
    }
  }
  return absl::OkStatus();
}

absl::Status SetResources(const RunOptions& options, ContainerSpec& spec) {
  container::v1::Resources& resources = *spec.mutable_resources();
  resources.set_nano_cpus(static_cast<int64_t>(options.cpus * 1e9));
  resources.set_cpu_shares(options.cpu_shares);
  resources.set_cpuset_cpus(options.cpuset_cpus);
  resources.set_pids_limit(options.pids_limit);
  if (!options.memory.empty()) {
    const auto bytes = ParseBytes(options.memory);
    if (!bytes.ok()) return Bad("--memory", options.memory, bytes.status().message());
    resources.set_memory_bytes(*bytes);
  }
  if (!options.shm_size.empty()) {
    const auto bytes = ParseBytes(options.shm_size);
    if (!bytes.ok()) return Bad("--shm-size", options.shm_size, bytes.status().message());
    spec.set_shm_size_bytes(*bytes);
  }
  for (const std::string& text : options.ulimits) {
    const std::vector<absl::string_view> sides = absl::StrSplit(text, absl::MaxSplits('=', 1));
    container::v1::Ulimit& ulimit = *spec.add_ulimits();
    ulimit.set_name(std::string(sides[0]));
    int64_t soft = 0, hard = 0;
    const std::vector<absl::string_view> values =
        absl::StrSplit(sides.size() == 2 ? sides[1] : "", absl::MaxSplits(':', 1));
    if (!absl::SimpleAtoi(values.front(), &soft) || !absl::SimpleAtoi(values.back(), &hard)) {
      return Bad("--ulimit", text, "not name=soft[:hard]");
    }
    ulimit.set_soft(soft);
    ulimit.set_hard(hard);
  }
  return absl::OkStatus();
}

absl::Status SetNetwork(const RunOptions& options, container::v1::Network& out) {
  out.set_mode(options.network);
  for (const std::string& text : options.ports) RETURN_IF_ERROR(ParsePort(text, out));
  for (const std::string& text : options.hosts) out.add_extra_hosts(text);
  for (const std::string& text : options.dns) out.add_dns_servers(text);
  return absl::OkStatus();
}

void SetEnv(const std::vector<std::string>& env, ContainerSpec& spec) {
  for (const std::string& text : env) {
    const char* value = nullptr;
    if (text.find('=') == std::string::npos) {
      // "NAME" alone takes the value of this process's environment, and is left out where there is
      // none.
      value = std::getenv(text.c_str());
      if (value != nullptr) spec.add_env(absl::StrCat(text, "=", value));
      continue;
    }
    spec.add_env(text);
  }
}

}  // namespace

void AddRest(CLI::App& app, const std::string& usage, std::vector<std::string>& rest) {
  // No positionals: at the first word that is no option, everything that follows is left as it is.
  app.prefix_command();
  app.footer("Then: " + usage);
  app.parse_complete_callback([&app, &rest] { rest = app.remaining(); });
}

void RunOptions::AddTo(CLI::App& app) {
  app.add_option("--name", name, "name of the container");
  app.add_flag("-d,--detach", detach, "run in the background and print the id");
  app.add_flag("-i,--interactive", interactive, "keep stdin open");
  app.add_flag("-t,--tty", tty, "give it a terminal");
  app.add_flag("--rm", remove, "remove it when it ends");
  app.add_flag("--read-only", read_only, "root file system is read-only");
  app.add_flag("--init", init, "a reaping init as process 1");
  app.add_flag("--privileged", privileged, "all capabilities and devices that the agent has");
  const auto list = [&app](const char* names, std::vector<std::string>& to, const char* help) {
    app.add_option(names, to, help)->allow_extra_args(false);
  };
  list("-e,--env", env, "NAME=value");
  list("-l,--label", labels, "key=value");
  list("-p,--publish", ports, "[address:][host port:]container port[/protocol]");
  list("-v,--volume", volumes, "source:target[:ro]");
  list("--tmpfs", tmpfs, "target[:options]");
  list("--cap-add", cap_add, "capability");
  list("--cap-drop", cap_drop, "capability");
  list("--security-opt", security, "no-new-privileges, seccomp=unconfined, seccomp=FILE");
  list("--add-host", hosts, "name:address");
  list("--dns", dns, "address of a name server");
  list("--ulimit", ulimits, "name=soft[:hard]");
  list("--group-add", groups, "additional group");
  app.add_option("-w,--workdir", workdir, "working directory");
  app.add_option("-u,--user", user, "name or uid[:group or gid]");
  app.add_option("--network,--net", network, "bridge, none, host, container:ID");
  app.add_option("-m,--memory", memory, "limit, as 64m");
  app.add_option("--shm-size", shm_size, "size of /dev/shm");
  app.add_option("--hostname", hostname, "host name inside");
  app.add_option("--stop-signal", stop_signal, "signal of stop");
  app.add_option("--stop-timeout", stop_timeout, "seconds of grace at stop");
  app.add_option("--pid", pid, "pid namespace: host, container:ID");
  app.add_option("--ipc", ipc, "ipc namespace: host, private, none, shareable, container:ID");
  app.add_option("--uts", uts, "uts namespace: host");
  app.add_option("--restart", restart, "no, always, on-failure[:N], unless-stopped");
  app.add_option("--entrypoint", entrypoint, "replaces the image's");
  app.add_option("--cpus", cpus, "number of cores");
  app.add_option("--cpu-shares", cpu_shares, "relative weight");
  app.add_option("--cpuset-cpus", cpuset_cpus, "cores, as 0-1");
  app.add_option("--pids-limit", pids_limit, "most processes");
  app.add_option("--pull", pull, "always, missing, never")
      ->check(CLI::IsMember({"always", "missing", "never"}));
  AddRest(app, "IMAGE [COMMAND...]", rest);
}

absl::StatusOr<int64_t> ParseBytes(absl::string_view text) {
  std::string lower = absl::AsciiStrToLower(text);
  absl::string_view rest = lower;
  absl::ConsumeSuffix(&rest, "b");
  int shift = 0;
  if (absl::ConsumeSuffix(&rest, "k")) {
    shift = 10;
  } else if (absl::ConsumeSuffix(&rest, "m")) {
    shift = 20;
  } else if (absl::ConsumeSuffix(&rest, "g")) {
    shift = 30;
  }
  double value = 0;
  if (rest.empty() || !absl::SimpleAtod(rest, &value) || !(value >= 0) || value > 1e12) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a size (as 64m)"));
  }
  return static_cast<int64_t>(value * static_cast<double>(int64_t{1} << shift));
}

absl::Status ParsePort(absl::string_view text, container::v1::Network& out) {
  const std::vector<absl::string_view> slash = absl::StrSplit(text, absl::MaxSplits('/', 1));
  const std::string protocol = slash.size() == 2 ? absl::AsciiStrToLower(slash[1]) : "tcp";
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
    return Bad("--publish", text, absl::StrCat("unknown protocol \"", protocol, "\""));
  }
  absl::string_view address, host, inside = slash[0];
  size_t colon = inside.rfind(':');
  if (colon != absl::string_view::npos) {
    host = inside.substr(0, colon);
    inside.remove_prefix(colon + 1);
    colon = host.rfind(':');
    if (colon != absl::string_view::npos) {
      address = host.substr(0, colon);
      host.remove_prefix(colon + 1);
    }
  }
  absl::ConsumePrefix(&address, "[");
  absl::ConsumeSuffix(&address, "]");
  ASSIGN_OR_RETURN(const PortRange container, ParseRange(inside, text));
  PortRange published;
  if (!host.empty()) {
    ASSIGN_OR_RETURN(published, ParseRange(host, text));
    if (published.last - published.first != container.last - container.first) {
      return Bad("--publish", text, "the two ranges differ in length");
    }
  }
  for (uint32_t i = 0; i <= container.last - container.first; ++i) {
    container::v1::PortBinding& binding = *out.add_ports();
    binding.set_container_port(container.first + i);
    binding.set_protocol(protocol);
    binding.set_host_address(std::string(address));
    if (published.first != 0) binding.set_host_port(published.first + i);
  }
  return absl::OkStatus();
}

absl::Status ParseVolume(absl::string_view text, ContainerSpec& out) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() == 1) {
    out.add_volumes(parts[0]);
    return absl::OkStatus();
  }
  if (parts.size() > 3 || parts[0].empty() || parts[1].empty() || parts[1][0] != '/') {
    return Bad("--volume", text, "not source:/target[:options]");
  }
  container::v1::Mount& mount = *out.add_mounts();
  mount.set_type(parts[0][0] == '/' ? container::v1::Mount::TYPE_BIND
                                    : container::v1::Mount::TYPE_VOLUME);
  mount.set_source(parts[0]);
  mount.set_target(parts[1]);
  mount.set_create_source(true);
  if (parts.size() == 2) return absl::OkStatus();
  for (const absl::string_view option : absl::StrSplit(parts[2], ',')) {
    if (option == "ro") {
      mount.set_read_only(true);
    } else if (option == "rprivate" || option == "private" || option == "rshared" ||
               option == "shared" || option == "rslave" || option == "slave") {
      mount.set_propagation(std::string(option));
    } else if (option != "rw") {
      return Bad("--volume", text, absl::StrCat("unknown option \"", option, "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRest(const std::vector<std::string>& rest, absl::string_view what) {
  if (rest.empty())
    return absl::InvalidArgumentError(absl::StrCat(what, " is missing, see --help"));
  if (absl::StartsWith(rest[0], "-")) {
    return absl::InvalidArgumentError(absl::StrCat("unknown option ", rest[0], ", see --help"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ContainerSpec> ToSpec(const RunOptions& options) {
  RETURN_IF_ERROR(CheckRest(options.rest, "the image"));
  ContainerSpec spec;
  spec.set_image(options.rest[0]);
  for (size_t i = 1; i < options.rest.size(); ++i) spec.add_command(options.rest[i]);
  if (options.entrypoint.has_value()) {
    auto& values = *spec.mutable_entrypoint();
    if (!options.entrypoint->empty()) values.add_values(*options.entrypoint);
  }
  SetEnv(options.env, spec);
  for (const std::string& text : options.labels) {
    const std::vector<std::string> sides = absl::StrSplit(text, absl::MaxSplits('=', 1));
    (*spec.mutable_labels())[sides[0]] = sides.size() == 2 ? sides[1] : "";
  }
  spec.set_working_directory(options.workdir);
  spec.set_user(options.user);
  for (const std::string& group : options.groups) spec.add_additional_groups(group);
  spec.set_hostname(options.hostname);
  spec.set_tty(options.tty);
  spec.set_open_stdin(options.interactive);
  spec.set_stdin_once(options.interactive && !options.detach);
  spec.set_auto_remove(options.remove);
  spec.set_read_only_root(options.read_only);
  spec.set_init(options.init);
  spec.set_stop_signal(options.stop_signal);
  if (options.stop_timeout) spec.set_stop_timeout_seconds(*options.stop_timeout);
  spec.mutable_namespaces()->set_pid(options.pid);
  spec.mutable_namespaces()->set_ipc(options.ipc);
  spec.mutable_namespaces()->set_uts(options.uts);
  RETURN_IF_ERROR(SetRestart(options.restart, *spec.mutable_restart_policy()));
  RETURN_IF_ERROR(SetSecurity(options, *spec.mutable_security()));
  RETURN_IF_ERROR(SetResources(options, spec));
  RETURN_IF_ERROR(SetNetwork(options, *spec.mutable_network()));
  for (const std::string& text : options.volumes) RETURN_IF_ERROR(ParseVolume(text, spec));
  for (const std::string& text : options.tmpfs) {
    const std::vector<std::string> sides = absl::StrSplit(text, absl::MaxSplits(':', 1));
    container::v1::Mount& mount = *spec.add_mounts();
    mount.set_type(container::v1::Mount::TYPE_TMPFS);
    mount.set_target(sides[0]);
    if (sides.size() == 2) mount.set_tmpfs_options(sides[1]);
  }
  if (options.tty) *spec.mutable_terminal_size() = WindowSize();
  return spec;
}

}  // namespace slipway::cli
