#include "gateway/docker/create_container.h"

#include <boost/json/serialize.hpp>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/docker/create_host_config.h"
#include "gateway/docker/create_network.h"
#include "gateway/docker/json_fields.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

constexpr size_t kMaxClientDataBytes = 64 << 10;

template <typename List>
void AddAll(std::vector<std::string> values, List* list) {
  for (std::string& value : values) *list->Add() = std::move(value);
}

absl::Status ReadHealthcheck(JsonFields& config, pb::ContainerSpec& spec) {
  const json::object* object = config.Object("Healthcheck");
  if (object == nullptr) return absl::OkStatus();
  JsonFields fields(*object, "Healthcheck");
  slipway::image::v1::Healthcheck& check = *spec.mutable_healthcheck();
  AddAll(fields.Strings("Test"), check.mutable_test());
  check.set_interval_ns(fields.Int("Interval"));
  check.set_timeout_ns(fields.Int("Timeout"));
  check.set_start_period_ns(fields.Int("StartPeriod"));
  check.set_start_interval_ns(fields.Int("StartInterval"));
  check.set_retries(static_cast<int32_t>(fields.Int("Retries")));
  return fields.status();
}

void ReadCommand(JsonFields& config, pb::ContainerSpec& spec) {
  if (auto entrypoint = config.Words("Entrypoint")) {
    // The CLI's --entrypoint "" arrives as [""] and clears the image's.
    if (entrypoint->size() == 1 && entrypoint->front().empty()) entrypoint->clear();
    AddAll(std::move(*entrypoint), spec.mutable_entrypoint()->mutable_values());
  }
  if (auto command = config.Words("Cmd")) AddAll(std::move(*command), spec.mutable_command());
}

absl::Status ReadConfig(JsonFields& config, pb::ContainerSpec& spec) {
  spec.set_image(config.String("Image"));
  ReadCommand(config, spec);
  AddAll(config.Strings("Env"), spec.mutable_env());
  spec.set_working_directory(config.String("WorkingDir"));
  spec.set_user(config.String("User"));
  spec.set_hostname(config.String("Hostname"));
  spec.set_domainname(config.String("Domainname"));
  spec.set_tty(config.Bool("Tty"));
  spec.set_open_stdin(config.Bool("OpenStdin"));
  spec.set_stdin_once(config.Bool("StdinOnce"));
  for (const auto& [key, value] : config.StringMap("Labels")) (*spec.mutable_labels())[key] = value;
  spec.set_stop_signal(config.String("StopSignal"));
  if (const auto timeout = config.OptionalInt("StopTimeout")) {
    if (*timeout < -1 || *timeout > std::numeric_limits<int32_t>::max()) {
      config.Fail("StopTimeout", absl::StrCat(*timeout, " is out of range"));
    }
    spec.set_stop_timeout_seconds(static_cast<int32_t>(*timeout));
  }
  for (const std::string& port : config.Keys("ExposedPorts")) {
    const absl::StatusOr<PortRange> range = ParsePort(port);
    if (!range.ok()) return range.status();
    for (uint32_t number = range->first; number <= range->last; ++number) {
      spec.add_exposed_ports(absl::StrCat(number, "/", range->protocol));
    }
  }
  AddAll(config.Keys("Volumes"), spec.mutable_volumes());
  RETURN_IF_ERROR(ReadHealthcheck(config, spec));
  config.Strings("OnBuild");
  config.Words("Shell");
  config.Bool("ArgsEscaped");
  return config.status();
}

absl::Status ReadNetworking(JsonFields& body, pb::ContainerSpec& spec) {
  const json::object* networking = body.Object("NetworkingConfig");
  if (networking == nullptr) return body.status();
  JsonFields fields(*networking, "NetworkingConfig");
  const json::object* endpoints = fields.Object("EndpointsConfig");
  if (endpoints == nullptr) return fields.status();
  pb::Network& network = *spec.mutable_network();
  for (const auto& member : *endpoints) {
    std::string name(member.key().data(), member.key().size());
    pb::Attachment attachment;
    if (const json::object* endpoint = member.value().if_object()) {
      ASSIGN_OR_RETURN(
          attachment,
          AttachmentFromJson(*endpoint, absl::StrCat("NetworkingConfig.EndpointsConfig.", name)));
    }
    const bool is_default = network.mode().empty() || network.mode() == "default";
    // "host" and "none" take no endpoint: the mode says it all. What they cannot have is refused
    // by the container service.
    if (is_default && name != "default" && endpoints->size() == 1) network.set_mode(name);
    if (name == "default") name = "bridge";
    if (name == "host" || name == "none") {
      if (!attachment.mac_address().empty()) network.set_mac_address(attachment.mac_address());
      const bool has_address = !attachment.address().empty() || !attachment.address6().empty();
      if (name == network.mode() && !has_address) continue;
    }
    attachment.set_network(name);
    *network.add_attachments() = std::move(attachment);
  }
  return fields.status();
}

// What inspect gives back and no field of the spec has.
absl::Status KeepClientData(const json::object& body, JsonFields& config, pb::ContainerSpec& spec) {
  json::object kept;
  json::object host_config;
  if (const json::object* original = config.Object("HostConfig")) {
    for (const auto& member : *original) {
      // Here a name with an empty value says something.
      const bool is_map =
          member.key() == "Tmpfs" || member.key() == "Sysctls" || member.key() == "Annotations";
      const json::object* object = is_map ? member.value().if_object() : nullptr;
      // "No init" is not the same as nothing said of it.
      const bool is_answer = member.key() == "Init" && member.value().is_bool();
      const bool kept =
          is_answer || (object != nullptr ? !object->empty() : !IsZero(member.value()));
      if (kept) host_config.emplace(member.key(), member.value());
    }
  }
  if (!host_config.empty()) kept.emplace("HostConfig", std::move(host_config));
  json::object rest;
  for (const char* name : {"AttachStdin", "AttachStdout", "AttachStderr", "OnBuild", "Shell",
                           "NetworkDisabled", "ArgsEscaped"}) {
    const json::value* value = body.if_contains(name);
    if (value != nullptr && !IsZero(*value)) rest.emplace(name, *value);
  }
  if (!rest.empty()) kept.emplace("Config", std::move(rest));
  if (kept.empty()) return absl::OkStatus();
  const std::string text = json::serialize(kept);
  if (text.size() > kMaxClientDataBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("HostConfig is longer than ", kMaxClientDataBytes, " bytes"));
  }
  spec.set_client_data(text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<pb::ContainerSpec> SpecFromJson(const json::value& body,
                                               std::vector<std::string>* warnings) {
  const json::object* object = body.if_object();
  if (object == nullptr) {
    return absl::InvalidArgumentError(
        body.is_null() ? "config cannot be empty in order to create a container"
                       : "invalid JSON: the container's config must be an object");
  }
  JsonFields config(*object, "");
  pb::ContainerSpec spec;
  RETURN_IF_ERROR(ReadConfig(config, spec));
  if (spec.image().empty()) return absl::InvalidArgumentError("no image was given");
  if (const json::object* host_config = config.Object("HostConfig")) {
    std::vector<std::string> ignored;
    RETURN_IF_ERROR(ReadHostConfig(*host_config, spec, warnings == nullptr ? ignored : *warnings));
  }
  RETURN_IF_ERROR(ReadNetworking(config, spec));
  if (config.Bool("NetworkDisabled")) spec.mutable_network()->set_mode("none");
  const std::string mac = config.String("MacAddress");
  if (!mac.empty()) spec.mutable_network()->set_mac_address(mac);
  RETURN_IF_ERROR(config.status());
  RETURN_IF_ERROR(KeepClientData(*object, config, spec));
  return spec;
}

}  // namespace slipway::gateway
