#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "absl/time/time.h"
#include "image-service/domain/media_types.h"
#include "image-service/oci/json_image_format.h"

namespace slipway::image {
namespace {

namespace json = boost::json;

json::array Strings(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::object Names(const std::vector<std::string>& names) {
  json::object object;
  for (const std::string& name : names) object[name] = json::object();
  return object;
}

std::string Rfc3339(int64_t unix_ns) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", absl::FromUnixNanos(unix_ns),
                          absl::UTCTimeZone());
}

json::object WriteHealthcheck(const Healthcheck& health) {
  json::object object;
  object["Test"] = Strings(health.test);
  if (health.interval_ns != 0) object["Interval"] = health.interval_ns;
  if (health.timeout_ns != 0) object["Timeout"] = health.timeout_ns;
  if (health.start_period_ns != 0) object["StartPeriod"] = health.start_period_ns;
  if (health.start_interval_ns != 0) object["StartInterval"] = health.start_interval_ns;
  if (health.retries != 0) object["Retries"] = health.retries;
  return object;
}

json::object WriteContainerConfig(const ImageConfig& config) {
  json::object object;
  const auto put_text = [&](const char* name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  const auto put_list = [&](const char* name, const std::vector<std::string>& list) {
    if (!list.empty()) object[name] = Strings(list);
  };
  put_text("User", config.user);
  if (!config.exposed_ports.empty()) object["ExposedPorts"] = Names(config.exposed_ports);
  put_list("Env", config.env);
  put_list("Entrypoint", config.entrypoint);
  put_list("Cmd", config.command);
  if (!config.volumes.empty()) object["Volumes"] = Names(config.volumes);
  put_text("WorkingDir", config.working_directory);
  if (!config.labels.empty()) {
    json::object labels;
    for (const auto& [name, value] : config.labels) labels[name] = value;
    object["Labels"] = std::move(labels);
  }
  put_text("StopSignal", config.stop_signal);
  put_list("Shell", config.shell);
  put_list("OnBuild", config.on_build);
  if (config.args_escaped) object["ArgsEscaped"] = true;
  if (config.has_healthcheck) object["Healthcheck"] = WriteHealthcheck(config.healthcheck);
  return object;
}

json::array WriteHistory(const std::vector<HistoryEntry>& history) {
  json::array entries;
  for (const HistoryEntry& entry : history) {
    json::object item;
    if (entry.created_unix_ns != 0) item["created"] = Rfc3339(entry.created_unix_ns);
    if (!entry.created_by.empty()) item["created_by"] = entry.created_by;
    if (!entry.author.empty()) item["author"] = entry.author;
    if (!entry.comment.empty()) item["comment"] = entry.comment;
    if (entry.empty_layer) item["empty_layer"] = true;
    entries.push_back(std::move(item));
  }
  return entries;
}

json::object WriteDescriptor(const Descriptor& descriptor) {
  json::object object;
  object["mediaType"] = descriptor.media_type;
  object["digest"] = descriptor.digest.ToString();
  object["size"] = descriptor.size_bytes;
  return object;
}

}  // namespace

std::string JsonImageFormat::WriteConfig(const ImageDescription& description) {
  json::object object;
  object["architecture"] = description.platform.architecture;
  object["os"] = description.platform.os;
  if (!description.platform.variant.empty()) object["variant"] = description.platform.variant;
  object["created"] = Rfc3339(description.created_unix_ns);
  if (!description.author.empty()) object["author"] = description.author;
  if (!description.comment.empty()) object["comment"] = description.comment;
  object["config"] = WriteContainerConfig(description.config);
  json::array diff_ids;
  for (const Digest& diff_id : description.diff_ids) diff_ids.emplace_back(diff_id.ToString());
  object["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  object["history"] = WriteHistory(description.history);
  return json::serialize(object);
}

std::string JsonImageFormat::WriteManifest(const Manifest& manifest) {
  json::object object;
  object["schemaVersion"] = 2;
  object["mediaType"] = manifest.media_type;
  object["config"] = WriteDescriptor(manifest.config);
  json::array layers;
  for (const Descriptor& layer : manifest.layers) layers.push_back(WriteDescriptor(layer));
  object["layers"] = std::move(layers);
  return json::serialize(object);
}

std::string JsonImageFormat::WriteIndex(const std::vector<IndexEntry>& entries) {
  json::array manifests;
  for (const IndexEntry& entry : entries) {
    json::object item = WriteDescriptor(entry.manifest);
    json::object annotations;
    if (!entry.name.empty()) annotations["io.containerd.image.name"] = entry.name;
    if (!entry.tag.empty()) annotations["org.opencontainers.image.ref.name"] = entry.tag;
    if (!annotations.empty()) item["annotations"] = std::move(annotations);
    manifests.push_back(std::move(item));
  }
  return json::serialize(json::object{
      {"schemaVersion", 2}, {"mediaType", kOciIndexType}, {"manifests", std::move(manifests)}});
}

std::string JsonImageFormat::WriteArchive(const std::vector<ArchiveEntry>& entries) {
  json::array images;
  for (const ArchiveEntry& entry : entries) {
    json::object item;
    item["Config"] = entry.config;
    item["RepoTags"] =
        entry.repo_tags.empty() ? json::value(nullptr) : json::value(Strings(entry.repo_tags));
    item["Layers"] = Strings(entry.layers);
    images.push_back(std::move(item));
  }
  return json::serialize(images);
}

}  // namespace slipway::image
