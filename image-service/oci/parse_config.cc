#include <algorithm>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/oci/bounded_json.h"
#include "image-service/oci/json_image_format.h"

namespace slipway::image {
namespace {

namespace json = boost::json;

absl::Status ParseHealthcheck(const JsonObject& object, ImageConfig& config) {
  ASSIGN_OR_RETURN(const JsonObject* check, FindObject(object, "Healthcheck"));
  if (check == nullptr) return absl::OkStatus();
  config.has_healthcheck = true;
  Healthcheck& health = config.healthcheck;
  int64_t retries = 0;
  RETURN_IF_ERROR(ReadStrings(*check, "Test", &health.test));
  RETURN_IF_ERROR(ReadInt(*check, "Interval", &health.interval_ns));
  RETURN_IF_ERROR(ReadInt(*check, "Timeout", &health.timeout_ns));
  RETURN_IF_ERROR(ReadInt(*check, "StartPeriod", &health.start_period_ns));
  RETURN_IF_ERROR(ReadInt(*check, "StartInterval", &health.start_interval_ns));
  RETURN_IF_ERROR(ReadInt(*check, "Retries", &retries));
  health.retries = static_cast<int32_t>(std::clamp<int64_t>(retries, 0, INT32_MAX));
  return absl::OkStatus();
}

absl::Status ParseContainerConfig(const JsonObject& object, ImageConfig& config) {
  RETURN_IF_ERROR(ReadString(object, "User", &config.user));
  RETURN_IF_ERROR(ReadNames(object, "ExposedPorts", &config.exposed_ports));
  RETURN_IF_ERROR(ReadStrings(object, "Env", &config.env));
  RETURN_IF_ERROR(ReadStrings(object, "Entrypoint", &config.entrypoint));
  RETURN_IF_ERROR(ReadStrings(object, "Cmd", &config.command));
  RETURN_IF_ERROR(ReadNames(object, "Volumes", &config.volumes));
  RETURN_IF_ERROR(ReadString(object, "WorkingDir", &config.working_directory));
  RETURN_IF_ERROR(ReadStringMap(object, "Labels", &config.labels));
  RETURN_IF_ERROR(ReadString(object, "StopSignal", &config.stop_signal));
  RETURN_IF_ERROR(ReadStrings(object, "Shell", &config.shell));
  RETURN_IF_ERROR(ReadStrings(object, "OnBuild", &config.on_build));
  RETURN_IF_ERROR(ReadBool(object, "ArgsEscaped", &config.args_escaped));
  return ParseHealthcheck(object, config);
}

absl::Status ParseHistory(const JsonObject& object, std::vector<HistoryEntry>& history) {
  ASSIGN_OR_RETURN(const json::array* entries, FindArray(object, "history"));
  if (entries == nullptr) return absl::OkStatus();
  if (entries->size() > 4096) return absl::InvalidArgumentError("\"history\" is too long");
  for (const json::value& value : *entries) {
    if (!value.is_object()) {
      return absl::InvalidArgumentError("\"history\" is not a list of objects");
    }
    const JsonObject& item = value.get_object();
    HistoryEntry entry;
    RETURN_IF_ERROR(ReadTime(item, "created", &entry.created_unix_ns));
    RETURN_IF_ERROR(ReadString(item, "created_by", &entry.created_by));
    RETURN_IF_ERROR(ReadString(item, "author", &entry.author));
    RETURN_IF_ERROR(ReadString(item, "comment", &entry.comment));
    RETURN_IF_ERROR(ReadBool(item, "empty_layer", &entry.empty_layer));
    history.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status ParseRootFs(const JsonObject& object, std::vector<Digest>& diff_ids) {
  ASSIGN_OR_RETURN(const JsonObject* rootfs, FindObject(object, "rootfs"));
  if (rootfs == nullptr) return absl::InvalidArgumentError("\"rootfs\" is missing");
  std::vector<std::string> texts;
  RETURN_IF_ERROR(ReadStrings(*rootfs, "diff_ids", &texts));
  if (texts.size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        absl::StrCat(texts.size(), " layers, at most ", kMaxLayers, " are supported"));
  }
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(Digest digest, Digest::Parse(text));
    diff_ids.push_back(std::move(digest));
  }
  return absl::OkStatus();
}

absl::Status ParseDescription(const JsonObject& object, ImageDescription& description) {
  RETURN_IF_ERROR(ReadTime(object, "created", &description.created_unix_ns));
  RETURN_IF_ERROR(ReadString(object, "author", &description.author));
  RETURN_IF_ERROR(ReadString(object, "comment", &description.comment));
  RETURN_IF_ERROR(ReadString(object, "docker_version", &description.docker_version));
  RETURN_IF_ERROR(ReadString(object, "os", &description.platform.os));
  RETURN_IF_ERROR(ReadString(object, "architecture", &description.platform.architecture));
  RETURN_IF_ERROR(ReadString(object, "variant", &description.platform.variant));
  ASSIGN_OR_RETURN(const JsonObject* config, FindObject(object, "config"));
  if (config != nullptr) RETURN_IF_ERROR(ParseContainerConfig(*config, description.config));
  RETURN_IF_ERROR(ParseRootFs(object, description.diff_ids));
  RETURN_IF_ERROR(ParseHistory(object, description.history));
  // Docker's "Comment" is that of the newest history entry where the image itself has none.
  if (description.comment.empty() && !description.history.empty()) {
    description.comment = description.history.back().comment;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageDescription> JsonImageFormat::ParseConfig(absl::string_view text) {
  ImageDescription description;
  RETURN_IF_ERROR(BoundedJson::Parse(text, "image configuration",
                                     [&](const json::value& document) -> absl::Status {
                                       if (!document.is_object())
                                         return absl::InvalidArgumentError("not an object");
                                       return ParseDescription(document.get_object(), description);
                                     }));
  return description;
}

}  // namespace slipway::image
