#include "gateway/docker/image_json.h"

#include <algorithm>
#include <utility>

#include "gateway/docker/json_build.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::image::v1;

json::value ListOrNull(const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (list.empty()) return nullptr;
  return StringArray(list);
}

json::object ConfigToJson(const pb::ImageConfig& config) {
  json::object out;
  out["Hostname"] = "";
  out["Domainname"] = "";
  out["User"] = config.user();
  out["AttachStdin"] = false;
  out["AttachStdout"] = false;
  out["AttachStderr"] = false;
  if (!config.exposed_ports().empty()) out["ExposedPorts"] = KeyObject(config.exposed_ports());
  out["Tty"] = false;
  out["OpenStdin"] = false;
  out["StdinOnce"] = false;
  out["Env"] = ListOrNull(config.env());
  out["Cmd"] = ListOrNull(config.command());
  if (config.has_healthcheck()) out["Healthcheck"] = HealthcheckToJson(config.healthcheck());
  if (config.args_escaped()) out["ArgsEscaped"] = true;
  out["Image"] = "";
  out["Volumes"] =
      config.volumes().empty() ? json::value(nullptr) : json::value(KeyObject(config.volumes()));
  out["WorkingDir"] = config.working_directory();
  out["Entrypoint"] = ListOrNull(config.entrypoint());
  out["OnBuild"] = ListOrNull(config.on_build());
  out["Labels"] =
      config.labels().empty() ? json::value(nullptr) : json::value(StringMap(config.labels()));
  if (!config.stop_signal().empty()) out["StopSignal"] = config.stop_signal();
  if (!config.shell().empty()) out["Shell"] = StringArray(config.shell());
  return out;
}

json::object RootFs(const pb::Image& image) {
  json::object out{{"Type", "layers"}};
  json::array layers;
  for (const pb::LayerInfo& layer : image.layers()) layers.emplace_back(layer.diff_id());
  if (!layers.empty()) out["Layers"] = std::move(layers);
  return out;
}

}  // namespace

json::object HealthcheckToJson(const pb::Healthcheck& check) {
  json::object out;
  if (!check.test().empty()) out["Test"] = StringArray(check.test());
  if (check.interval_ns() != 0) out["Interval"] = check.interval_ns();
  if (check.timeout_ns() != 0) out["Timeout"] = check.timeout_ns();
  if (check.start_period_ns() != 0) out["StartPeriod"] = check.start_period_ns();
  if (check.start_interval_ns() != 0) out["StartInterval"] = check.start_interval_ns();
  if (check.retries() != 0) out["Retries"] = check.retries();
  return out;
}

json::object ImageToJson(const pb::Image& image, ApiVersion version) {
  json::object out;
  out.reserve(24);
  out["Id"] = image.id();
  out["RepoTags"] = StringArray(image.repo_tags());
  out["RepoDigests"] = StringArray(image.repo_digests());
  out["Parent"] = image.parent_id();
  out["Comment"] = image.comment();
  out["Created"] = Rfc3339Nano(image.created_unix_ns());
  if (version < ApiVersion{1, 45}) out["Container"] = image.committed_container();
  // Gone from the API with 1.45; docker-compose 1 looks for an image's volumes here, whatever it
  // speaks.
  pb::ImageConfig container_config;
  *container_config.mutable_volumes() = image.config().volumes();
  out["ContainerConfig"] = ConfigToJson(container_config);
  out["DockerVersion"] = image.docker_version();
  out["Author"] = image.author();
  out["Config"] = ConfigToJson(image.config());
  out["Architecture"] = image.platform().architecture();
  if (!image.platform().variant().empty()) out["Variant"] = image.platform().variant();
  out["Os"] = image.platform().os();
  out["Size"] = image.size_bytes();
  if (version < ApiVersion{1, 44}) out["VirtualSize"] = image.size_bytes();
  out["GraphDriver"] = json::object{{"Data", json::object()}, {"Name", "overlayfs"}};
  out["RootFS"] = RootFs(image);
  out["Metadata"] = json::object{{"LastTagTime", Rfc3339Nano(image.last_tagged_unix_ns())}};
  return out;
}

json::object ImageSummaryToJson(const pb::Image& image, ApiVersion version,
                                const json::storage_ptr& storage) {
  // Old clients print what they get, and expect words for "untagged".
  const bool words = version < ApiVersion{1, 43};
  json::object out(storage);
  out.reserve(10);
  out["Containers"] = -1;
  out["Created"] = image.created_unix_ns() / 1'000'000'000;
  out["Id"] = image.id();
  if (image.config().labels().empty()) {
    out["Labels"] = nullptr;
  } else {
    out["Labels"] = StringMap(image.config().labels(), storage);
  }
  out["ParentId"] = image.parent_id();
  if (image.repo_digests().empty() && image.repo_tags().empty() && words) {
    out["RepoDigests"] = json::array({"<none>@<none>"}, storage);
  } else {
    out["RepoDigests"] = StringArray(image.repo_digests(), storage);
  }
  if (image.repo_tags().empty() && words) {
    out["RepoTags"] = json::array({"<none>:<none>"}, storage);
  } else {
    out["RepoTags"] = StringArray(image.repo_tags(), storage);
  }
  out["SharedSize"] = image.has_shared_size_bytes() ? image.shared_size_bytes() : -1;
  out["Size"] = image.size_bytes();
  if (version < ApiVersion{1, 44}) out["VirtualSize"] = image.size_bytes();
  return out;
}

json::array HistoryToJson(const pb::Image& image) {
  json::array out;
  int layer = 0;
  for (const pb::HistoryEntry& entry : image.history()) {
    int64_t size = 0;
    if (!entry.empty_layer() && layer < image.layers_size()) {
      size = image.layers(layer).tar_size_bytes();
      ++layer;
    }
    out.push_back(json::object{{"Comment", entry.comment()},
                               {"Created", entry.created_unix_ns() / 1'000'000'000},
                               {"CreatedBy", entry.created_by()},
                               {"Id", "<missing>"},
                               {"Size", size},
                               {"Tags", nullptr}});
  }
  std::reverse(out.begin(), out.end());
  if (!out.empty()) {
    out[0].as_object()["Id"] = image.id();
    if (!image.repo_tags().empty()) out[0].as_object()["Tags"] = StringArray(image.repo_tags());
  }
  return out;
}

}  // namespace slipway::gateway
