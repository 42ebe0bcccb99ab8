#include "gateway/docker/container_json.h"

#include <boost/json/parse.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gateway/docker/host_config_json.h"
#include "gateway/docker/image_json.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/network_json.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::string_view HealthWord(pb::Health::Status status) {
  switch (status) {
    case pb::Health::STATUS_STARTING:
      return "starting";
    case pb::Health::STATUS_HEALTHY:
      return "healthy";
    case pb::Health::STATUS_UNHEALTHY:
      return "unhealthy";
    default:
      return "none";
  }
}

json::object HealthToJson(const pb::Health& health) {
  json::array log;
  for (const pb::HealthProbe& probe : health.log()) {
    json::object entry;
    entry["Start"] = Rfc3339Nano(probe.started_unix_ns());
    entry["End"] = Rfc3339Nano(probe.finished_unix_ns());
    entry["ExitCode"] = probe.exit_code();
    entry["Output"] = ValidUtf8(probe.output());
    log.push_back(std::move(entry));
  }
  const absl::string_view word = HealthWord(health.status());
  json::object out;
  out["Status"] = json::string(word.data(), word.size());
  out["FailingStreak"] = health.failing_streak();
  out["Log"] = std::move(log);
  return out;
}

// What `docker ps` adds to "Up 5 minutes".
std::string HealthText(const pb::Health& health) {
  switch (health.status()) {
    case pb::Health::STATUS_STARTING:
      return " (health: starting)";
    case pb::Health::STATUS_HEALTHY:
      return " (healthy)";
    case pb::Health::STATUS_UNHEALTHY:
      return " (unhealthy)";
    default:
      return "";
  }
}

json::object StateToJson(const pb::ContainerState& state) {
  const pb::ContainerStatus status = state.status();
  json::object out;
  out["Status"] = json::string(StatusWord(status).data(), StatusWord(status).size());
  // A paused or restarting container counts as running too.
  out["Running"] = status == pb::CONTAINER_STATUS_RUNNING ||
                   status == pb::CONTAINER_STATUS_PAUSED ||
                   status == pb::CONTAINER_STATUS_RESTARTING;
  out["Paused"] = status == pb::CONTAINER_STATUS_PAUSED;
  out["Restarting"] = status == pb::CONTAINER_STATUS_RESTARTING;
  out["OOMKilled"] = state.oom_killed();
  out["Dead"] = status == pb::CONTAINER_STATUS_DEAD;
  out["Pid"] = state.pid();
  out["ExitCode"] = state.exit_code();
  out["Error"] = state.error();
  out["StartedAt"] = Rfc3339Nano(state.started_unix_ns());
  out["FinishedAt"] = Rfc3339Nano(state.finished_unix_ns());
  if (state.has_health()) out["Health"] = HealthToJson(state.health());
  return out;
}

void AddSizes(const pb::Container& container, json::object& out) {
  if (container.has_written_bytes()) out["SizeRw"] = container.written_bytes();
  if (container.has_root_bytes()) out["SizeRootFs"] = container.root_bytes();
}

json::object MountToJson(const pb::Mount& mount) {
  json::object out;
  switch (mount.type()) {
    case pb::Mount::TYPE_VOLUME:
      out["Type"] = "volume";
      out["Name"] = mount.source();
      out["Source"] = mount.host_path();
      break;
    case pb::Mount::TYPE_TMPFS:
      out["Type"] = "tmpfs";
      out["Source"] = "";
      break;
    default:
      out["Type"] = "bind";
      out["Source"] = mount.source();
  }
  out["Destination"] = mount.target();
  if (mount.type() == pb::Mount::TYPE_VOLUME) out["Driver"] = "local";
  out["Mode"] = mount.mode();
  out["RW"] = !mount.read_only();
  const bool is_bind = mount.type() == pb::Mount::TYPE_BIND;
  out["Propagation"] = is_bind && mount.propagation().empty() ? "rprivate" : mount.propagation();
  return out;
}

// Those of --tmpfs are in HostConfig alone, as with dockerd.
json::array MountsToJson(const pb::ContainerSpec& spec, const json::object* host_config) {
  const json::value* tmpfs = host_config == nullptr ? nullptr : host_config->if_contains("Tmpfs");
  const auto is_tmpfs_option = [tmpfs](const pb::Mount& mount) {
    if (mount.type() != pb::Mount::TYPE_TMPFS || tmpfs == nullptr || !tmpfs->is_object()) {
      return false;
    }
    for (const auto& member : tmpfs->get_object()) {
      const absl::string_view target(member.key().data(), member.key().size());
      if (absl::StripSuffix(target, "/") == mount.target()) return true;
    }
    return false;
  };
  json::array out;
  for (const pb::Mount& mount : spec.mounts()) {
    if (!is_tmpfs_option(mount)) out.push_back(MountToJson(mount));
  }
  return out;
}

// "name:alias" becomes "/name:/container/alias".
void ShowLinks(const std::string& container, json::object& host_config) {
  json::value* links = host_config.if_contains("Links");
  if (links == nullptr || !links->is_array()) return;
  for (json::value& link : links->get_array()) {
    if (!link.is_string() || link.get_string().starts_with('/')) continue;
    const std::string text(link.get_string());
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    link = absl::StrCat("/", parts.front(), ":/", container, "/", parts.back());
  }
}

// Kept, and without effect: hosts of ours have no AppArmor.
std::string AppArmorProfile(const json::object* host_config) {
  const json::value* options =
      host_config == nullptr ? nullptr : host_config->if_contains("SecurityOpt");
  if (options == nullptr || !options->is_array()) return "";
  for (const json::value& option : options->get_array()) {
    if (!option.is_string()) continue;
    const std::string text(option.get_string());
    absl::string_view profile = text;
    if (absl::ConsumePrefix(&profile, "apparmor=") || absl::ConsumePrefix(&profile, "apparmor:")) {
      return std::string(profile);
    }
  }
  return "";
}

bool KeptBool(const json::object* kept, const char* name) {
  const json::value* value = kept == nullptr ? nullptr : kept->if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// A list, which the client may have given as one word; null where there is none.
json::value KeptWords(const json::object* kept, const char* name) {
  const json::value* value = kept == nullptr ? nullptr : kept->if_contains(name);
  if (value == nullptr) return nullptr;
  if (value->is_string()) return json::array{*value};
  return value->is_array() ? *value : json::value(nullptr);
}

// "Config": what the container runs with, the image's values merged in.
json::object ConfigToJson(const pb::Container& container, const json::object* kept) {
  const pb::ContainerSpec& spec = container.spec();
  const slipway::image::v1::ImageConfig& merged = container.effective_config();
  json::object out;
  out["Hostname"] = spec.hostname().empty() ? container.id().substr(0, 12) : spec.hostname();
  out["Domainname"] = spec.domainname();
  out["User"] = merged.user().empty() ? spec.user() : merged.user();
  out["AttachStdin"] = KeptBool(kept, "AttachStdin");
  out["AttachStdout"] = KeptBool(kept, "AttachStdout");
  out["AttachStderr"] = KeptBool(kept, "AttachStderr");
  json::object exposed = KeyObject(merged.exposed_ports());
  for (const std::string& port : spec.exposed_ports()) exposed.emplace(port, json::object());
  if (!exposed.empty()) out["ExposedPorts"] = std::move(exposed);
  out["Tty"] = spec.tty();
  out["OpenStdin"] = spec.open_stdin();
  out["StdinOnce"] = spec.stdin_once();
  out["Env"] = StringArray(merged.env());
  out["Cmd"] = merged.command().empty() ? json::value(nullptr) : StringArray(merged.command());
  if (merged.has_healthcheck()) out["Healthcheck"] = HealthcheckToJson(merged.healthcheck());
  out["Image"] = spec.image();
  json::object volumes = KeyObject(merged.volumes());
  for (const std::string& volume : spec.volumes()) volumes.emplace(volume, json::object());
  out["Volumes"] = volumes.empty() ? json::value(nullptr) : json::value(std::move(volumes));
  out["WorkingDir"] = merged.working_directory();
  out["Entrypoint"] =
      merged.entrypoint().empty() ? json::value(nullptr) : StringArray(merged.entrypoint());
  out["OnBuild"] = KeptWords(kept, "OnBuild");
  out["Labels"] = StringMap(merged.labels().empty() ? spec.labels() : merged.labels());
  const std::string signal = spec.stop_signal().empty() ? merged.stop_signal() : spec.stop_signal();
  if (!signal.empty()) out["StopSignal"] = signal;
  if (!spec.network().mac_address().empty()) out["MacAddress"] = spec.network().mac_address();
  if (spec.has_stop_timeout_seconds()) out["StopTimeout"] = spec.stop_timeout_seconds();
  for (const char* name : {"NetworkDisabled", "ArgsEscaped"}) {
    if (KeptBool(kept, name)) out[name] = true;
  }
  json::value shell = KeptWords(kept, "Shell");
  if (!shell.is_null()) out["Shell"] = std::move(shell);
  return out;
}

// The client's own data; null where there are none or they are not ours.
json::value ParseClientData(const pb::ContainerSpec& spec) {
  if (spec.client_data().empty()) return nullptr;
  boost::system::error_code error;
  json::value kept = json::parse(spec.client_data(), error);
  return error || !kept.is_object() ? json::value(nullptr) : kept;
}

const json::object* Member(const json::value& value, const char* name) {
  if (!value.is_object()) return nullptr;
  const json::value* member = value.get_object().if_contains(name);
  return member == nullptr ? nullptr : member->if_object();
}

std::string CommandText(const pb::Container& container) {
  std::string text = container.path();
  for (const std::string& argument : container.args()) {
    // As dockerd: an argument with a space is quoted.
    const bool quote = argument.find(' ') != std::string::npos;
    absl::StrAppend(&text, " ", quote ? "'" : "", argument, quote ? "'" : "");
  }
  return text;
}

}  // namespace

absl::string_view StatusWord(pb::ContainerStatus status) {
  switch (status) {
    case pb::CONTAINER_STATUS_RUNNING:
      return "running";
    case pb::CONTAINER_STATUS_PAUSED:
      return "paused";
    case pb::CONTAINER_STATUS_RESTARTING:
      return "restarting";
    case pb::CONTAINER_STATUS_REMOVING:
      return "removing";
    case pb::CONTAINER_STATUS_EXITED:
      return "exited";
    case pb::CONTAINER_STATUS_DEAD:
      return "dead";
    default:
      return "created";
  }
}

std::string StatusText(const pb::ContainerState& state, int64_t now_unix_ns) {
  const auto since = [now_unix_ns](int64_t then) {
    return HumanDuration(absl::Nanoseconds(now_unix_ns - then));
  };
  switch (state.status()) {
    case pb::CONTAINER_STATUS_RUNNING:
      return absl::StrCat("Up ", since(state.started_unix_ns()), HealthText(state.health()));
    case pb::CONTAINER_STATUS_PAUSED:
      return absl::StrCat("Up ", since(state.started_unix_ns()), " (Paused)");
    case pb::CONTAINER_STATUS_RESTARTING:
      return absl::StrCat("Restarting (", state.exit_code(), ") ", since(state.finished_unix_ns()),
                          " ago");
    case pb::CONTAINER_STATUS_REMOVING:
      return "Removal In Progress";
    case pb::CONTAINER_STATUS_EXITED:
      return absl::StrCat("Exited (", state.exit_code(), ") ", since(state.finished_unix_ns()),
                          " ago");
    case pb::CONTAINER_STATUS_DEAD:
      return "Dead";
    default:
      return "Created";
  }
}

json::object ContainerToJson(const pb::Container& container, ApiVersion version) {
  const json::value kept = ParseClientData(container.spec());
  json::object out;
  out.reserve(32);
  out["Id"] = container.id();
  out["Created"] = Rfc3339Nano(container.created_unix_ns());
  out["Path"] = container.path();
  out["Args"] = StringArray(container.args());
  out["State"] = StateToJson(container.state());
  out["Image"] = container.image_id();
  out["ResolvConfPath"] = "";
  out["HostnamePath"] = "";
  out["HostsPath"] = "";
  out["LogPath"] = "";
  out["Name"] = absl::StrCat("/", container.name());
  out["RestartCount"] = container.state().restart_count();
  out["Driver"] = "overlayfs";
  out["Platform"] = "linux";
  out["MountLabel"] = "";
  out["ProcessLabel"] = "";
  out["AppArmorProfile"] = AppArmorProfile(Member(kept, "HostConfig"));
  out["ExecIDs"] =
      container.exec_ids().empty() ? json::value(nullptr) : StringArray(container.exec_ids());
  json::object host_config = HostConfigToJson(container.spec(), Member(kept, "HostConfig"));
  ShowLinks(container.name(), host_config);
  out["HostConfig"] = std::move(host_config);
  out["GraphDriver"] = json::object{{"Data", json::object()}, {"Name", "overlayfs"}};
  out["Mounts"] = MountsToJson(container.spec(), Member(kept, "HostConfig"));
  out["Config"] = ConfigToJson(container, Member(kept, "Config"));
  out["NetworkSettings"] = NetworkSettingsToJson(container, version);
  AddSizes(container, out);
  return out;
}

json::object ContainerSummaryToJson(const pb::Container& container, int64_t now_unix_ns) {
  const absl::string_view word = StatusWord(container.state().status());
  json::object out;
  out.reserve(16);
  out["Id"] = container.id();
  out["Names"] = json::array{absl::StrCat("/", container.name())};
  out["Image"] = container.spec().image();
  out["ImageID"] = container.image_id();
  out["Command"] = CommandText(container);
  out["Created"] = container.created_unix_ns() / 1'000'000'000;
  out["Ports"] = PortSummaryToJson(container);
  const auto& labels = container.effective_config().labels();
  out["Labels"] = StringMap(labels.empty() ? container.spec().labels() : labels);
  out["State"] = json::string(word.data(), word.size());
  out["Status"] = StatusText(container.state(), now_unix_ns);
  out["HostConfig"] = json::object{{"NetworkMode", NetworkModeOf(container.spec())}};
  out["NetworkSettings"] = json::object{{"Networks", EndpointsToJson(container, kMaxApiVersion)}};
  out["Mounts"] = MountsToJson(container.spec(), nullptr);
  AddSizes(container, out);
  return out;
}

}  // namespace slipway::gateway
