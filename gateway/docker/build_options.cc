#include "gateway/docker/build_options.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/json_fields.h"
#include "gateway/docker/registry_auth.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::build::v1;

absl::StatusOr<json::value> ParseParameter(const Query& query, absl::string_view name) {
  const std::string text = query.Get(name);
  if (text.empty()) return json::value();
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("error reading ", name, ": not JSON"));
  }
  return value;
}

// {"NAME": "value"}; null says that the client has no value, either.
absl::Status ReadBuildArgs(const Query& query, pb::BuildOptions& options) {
  ASSIGN_OR_RETURN(const json::value value, ParseParameter(query, "buildargs"));
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_object()) {
    return absl::InvalidArgumentError("error reading buildargs: not an object");
  }
  for (const auto& [name, argument] : value.get_object()) {
    if (argument.is_null()) continue;
    if (!argument.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("error reading buildargs: ", std::string(name), " is no string"));
    }
    (*options.mutable_build_args())[std::string(name)] = std::string(argument.get_string());
  }
  return absl::OkStatus();
}

absl::Status ReadLabels(const Query& query, pb::BuildOptions& options) {
  ASSIGN_OR_RETURN(const json::value value, ParseParameter(query, "labels"));
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_object()) return absl::InvalidArgumentError("error reading labels: not an object");
  // In the order of the names, whatever order the client wrote.
  std::map<std::string, std::string> sorted;
  for (const auto& [name, label] : value.get_object()) {
    if (!label.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("error reading labels: ", std::string(name), " is no string"));
    }
    sorted[std::string(name)] = std::string(label.get_string());
  }
  for (const auto& [name, label] : sorted) {
    auto& added = *options.add_labels();
    added.set_name(name);
    added.set_value(label);
  }
  return absl::OkStatus();
}

absl::Status ReadUlimits(const Query& query, pb::BuildOptions& options) {
  ASSIGN_OR_RETURN(const json::value value, ParseParameter(query, "ulimits"));
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_array()) return absl::InvalidArgumentError("error reading ulimits: not a list");
  for (const json::value& item : value.get_array()) {
    if (!item.is_object()) {
      return absl::InvalidArgumentError("error reading ulimits: not a list of objects");
    }
    JsonFields fields(item.get_object(), "ulimits");
    auto& limit = *options.add_ulimits();
    limit.set_name(fields.String("Name"));
    limit.set_soft(fields.Int("Soft"));
    limit.set_hard(fields.Int("Hard"));
    RETURN_IF_ERROR(fields.status());
  }
  return absl::OkStatus();
}

absl::Status ReadResources(const Query& query, pb::BuildOptions& options) {
  auto& resources = *options.mutable_resources();
  const auto number = [&query](absl::string_view name) -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(const std::optional<int64_t> value, query.GetInt(name));
    return value.value_or(0);
  };
  ASSIGN_OR_RETURN(const int64_t memory, number("memory"));
  resources.set_memory_bytes(memory);
  ASSIGN_OR_RETURN(const int64_t swap, number("memswap"));
  resources.set_memory_swap_bytes(swap);
  ASSIGN_OR_RETURN(const int64_t shares, number("cpushares"));
  resources.set_cpu_shares(shares);
  ASSIGN_OR_RETURN(const int64_t period, number("cpuperiod"));
  resources.set_cpu_period_us(period);
  ASSIGN_OR_RETURN(const int64_t quota, number("cpuquota"));
  resources.set_cpu_quota_us(quota);
  resources.set_cpuset_cpus(query.Get("cpusetcpus"));
  resources.set_cpuset_mems(query.Get("cpusetmems"));
  resources.set_cgroup_parent(query.Get("cgroupparent"));
  ASSIGN_OR_RETURN(const int64_t shm, number("shmsize"));
  options.set_shm_size_bytes(shm);
  return absl::OkStatus();
}

// {"registry.example:5000": {"username": ..., "password": ...}}
absl::Status ReadAuths(absl::string_view header, pb::BuildOptions& options) {
  std::string text;
  if (header.empty()) return absl::OkStatus();
  if (!absl::WebSafeBase64Unescape(header, &text) && !absl::Base64Unescape(header, &text)) {
    return absl::InvalidArgumentError("invalid X-Registry-Config header: not base64");
  }
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (!error && value.is_null()) return absl::OkStatus();
  if (error || !value.is_object()) {
    return absl::InvalidArgumentError("invalid X-Registry-Config header: not a JSON object");
  }
  for (const auto& [host, auth] : value.get_object()) {
    ASSIGN_OR_RETURN((*options.mutable_auths())[std::string(host)],
                     ParseRegistryAuth(absl::WebSafeBase64Escape(json::serialize(auth))));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<pb::BuildOptions> ReadBuildOptions(const Query& query,
                                                  absl::string_view registry_config) {
  pb::BuildOptions options;
  options.set_dockerfile(query.Get("dockerfile"));
  options.set_remote(query.Get("remote"));
  for (const std::string& tag : query.All("t")) options.add_tags(tag);
  options.set_target_stage(query.Get("target"));
  options.set_no_cache(query.GetBool("nocache"));
  options.set_pull(query.GetBool("pull"));
  options.set_squash(query.GetBool("squash"));
  options.set_keep_containers(!query.GetBool("rm", /*fallback=*/true));
  options.set_remove_failed_container(query.GetBool("forcerm"));
  options.set_network_mode(query.Get("networkmode"));
  for (const std::string& host : query.All("extrahosts")) options.add_extra_hosts(host);
  const std::string platform = query.Get("platform");
  if (!platform.empty()) {
    ASSIGN_OR_RETURN(*options.mutable_platform(), ParsePlatform(platform));
  }
  RETURN_IF_ERROR(ReadBuildArgs(query, options));
  RETURN_IF_ERROR(ReadLabels(query, options));
  RETURN_IF_ERROR(ReadUlimits(query, options));
  RETURN_IF_ERROR(ReadResources(query, options));
  RETURN_IF_ERROR(ReadAuths(registry_config, options));
  return options;
}

}  // namespace slipway::gateway
