#include "gateway/docker/volume_json.h"

#include <utility>

#include "gateway/docker/json_build.h"
#include "gateway/docker/json_fields.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {

namespace json = boost::json;
namespace pb = slipway::container::v1;

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

json::value MapOrNull(const google::protobuf::Map<std::string, std::string>& map) {
  return map.empty() ? json::value(nullptr) : json::value(StringMap(map));
}

}  // namespace

absl::StatusOr<pb::CreateVolumeRequest> VolumeFromJson(const json::value& body) {
  if (!body.is_object()) {
    return absl::InvalidArgumentError("invalid JSON: a volume must be an object");
  }
  JsonFields fields(body.get_object(), "");
  pb::CreateVolumeRequest create;
  create.set_name(fields.String("Name"));
  create.set_driver(fields.String("Driver"));
  for (auto& [key, value] : fields.StringMap("DriverOpts")) {
    (*create.mutable_options())[key] = value;
  }
  for (auto& [key, value] : fields.StringMap("Labels")) (*create.mutable_labels())[key] = value;
  fields.Refuse("ClusterVolumeSpec");
  if (!fields.status().ok()) return fields.status();
  return create;
}

json::object VolumeToJson(const pb::Volume& volume) {
  json::object out;
  // Docker's volumes are as old as a whole second says.
  out["CreatedAt"] = Rfc3339Nano(volume.created_unix_ns() / kSecondNs * kSecondNs);
  out["Driver"] = volume.driver();
  out["Labels"] = MapOrNull(volume.labels());
  out["Mountpoint"] = volume.mountpoint();
  out["Name"] = volume.name();
  out["Options"] = MapOrNull(volume.options());
  out["Scope"] = "local";
  return out;
}

json::object VolumeUsageToJson(const pb::Volume& volume) {
  json::object out = VolumeToJson(volume);
  out["UsageData"] = json::object{{"RefCount", volume.container_ids_size()},
                                  {"Size", volume.has_size_bytes() ? volume.size_bytes() : -1}};
  return out;
}

}  // namespace slipway::gateway
