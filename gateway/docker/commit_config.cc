#include "gateway/docker/commit_config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/docker/import_changes.h"
#include "gateway/docker/json_fields.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
using slipway::image::v1::Healthcheck;
using slipway::image::v1::ImageConfig;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

void Put(std::vector<std::string> from, Strings* to) { to->Add(from.begin(), from.end()); }

void ReadHealthcheck(JsonFields& config, ImageConfig& out) {
  const json::object* object = config.Object("Healthcheck");
  if (object == nullptr) return;
  JsonFields fields(*object, "Healthcheck");
  Healthcheck& check = *out.mutable_healthcheck();
  Put(fields.Strings("Test"), check.mutable_test());
  check.set_interval_ns(fields.Int("Interval"));
  check.set_timeout_ns(fields.Int("Timeout"));
  check.set_start_period_ns(fields.Int("StartPeriod"));
  check.set_start_interval_ns(fields.Int("StartInterval"));
  check.set_retries(static_cast<int32_t>(fields.Int("Retries")));
  config.Join(fields.status());
}

absl::StatusOr<ImageConfig> FromBody(const json::object& body) {
  JsonFields config(body, "");
  ImageConfig out;
  out.set_user(config.String("User"));
  Put(config.Keys("ExposedPorts"), out.mutable_exposed_ports());
  Put(config.Strings("Env"), out.mutable_env());
  Put(config.Words("Entrypoint").value_or(std::vector<std::string>()), out.mutable_entrypoint());
  Put(config.Words("Cmd").value_or(std::vector<std::string>()), out.mutable_command());
  Put(config.Keys("Volumes"), out.mutable_volumes());
  out.set_working_directory(config.String("WorkingDir"));
  for (auto& [name, value] : config.StringMap("Labels")) (*out.mutable_labels())[name] = value;
  out.set_stop_signal(config.String("StopSignal"));
  Put(config.Strings("Shell"), out.mutable_shell());
  Put(config.Strings("OnBuild"), out.mutable_on_build());
  ReadHealthcheck(config, out);
  RETURN_IF_ERROR(config.status());
  return out;
}

void AddMissing(const Strings& from, Strings& to) {
  for (const std::string& item : from) {
    if (std::find(to.begin(), to.end(), item) == to.end()) to.Add(std::string(item));
  }
}

bool HasVariable(const Strings& env, absl::string_view name) {
  return std::any_of(env.begin(), env.end(), [&](const std::string& entry) {
    return absl::StartsWith(entry, absl::StrCat(name, "="));
  });
}

// What dockerd's runconfig "merge" fills in.
void Merge(const ImageConfig& container, ImageConfig& out) {
  if (out.user().empty()) out.set_user(container.user());
  AddMissing(container.exposed_ports(), *out.mutable_exposed_ports());
  for (const std::string& entry : container.env()) {
    if (!HasVariable(out.env(), entry.substr(0, entry.find('=')))) out.add_env(entry);
  }
  for (const auto& [name, value] : container.labels()) {
    out.mutable_labels()->insert({name, value});
  }
  if (out.entrypoint().empty()) {
    if (out.command().empty()) *out.mutable_command() = container.command();
    *out.mutable_entrypoint() = container.entrypoint();
  }
  if (!out.has_healthcheck() && container.has_healthcheck()) {
    *out.mutable_healthcheck() = container.healthcheck();
  }
  if (out.working_directory().empty()) out.set_working_directory(container.working_directory());
  AddMissing(container.volumes(), *out.mutable_volumes());
  if (out.stop_signal().empty()) out.set_stop_signal(container.stop_signal());
  if (out.shell().empty()) *out.mutable_shell() = container.shell();
}

}  // namespace

absl::StatusOr<ImageConfig> CommitConfig(const json::value& body,
                                         const std::vector<std::string>& changes,
                                         const ImageConfig& container) {
  ImageConfig config = container;
  if (!body.is_null()) {
    if (!body.is_object()) return absl::InvalidArgumentError("invalid JSON: not a configuration");
    ASSIGN_OR_RETURN(config, FromBody(body.get_object()));
  }
  for (const std::string& change : changes) RETURN_IF_ERROR(ApplyChange(change, config));
  Merge(container, config);
  return config;
}

}  // namespace slipway::gateway
