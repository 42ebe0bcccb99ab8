#include "gateway/docker/create_resources.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status/status_macros.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

absl::Status ReadLimits(JsonFields& fields, pb::ContainerSpec& spec) {
  pb::Resources& resources = *spec.mutable_resources();
  resources.set_nano_cpus(fields.Int("NanoCpus"));
  resources.set_cpu_shares(fields.Int("CpuShares"));
  resources.set_cpu_quota_us(fields.Int("CpuQuota"));
  resources.set_cpu_period_us(fields.Int("CpuPeriod"));
  resources.set_cpuset_cpus(fields.String("CpusetCpus"));
  resources.set_cpuset_mems(fields.String("CpusetMems"));
  resources.set_memory_bytes(fields.Int("Memory"));
  resources.set_memory_swap_bytes(fields.Int("MemorySwap"));
  resources.set_memory_reservation_bytes(fields.Int("MemoryReservation"));
  // Docker takes 0 and -1 for "unlimited".
  resources.set_pids_limit(std::max<int64_t>(0, fields.Int("PidsLimit")));
  const int64_t score = fields.Int("OomScoreAdj");
  if (score < -1000 || score > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid value ", score, ", range for oom score adj is [-1000, 1000]"));
  }
  resources.set_oom_score_adj(static_cast<int32_t>(score));
  resources.set_oom_kill_disable(fields.Bool("OomKillDisable"));
  resources.set_cgroup_parent(fields.String("CgroupParent"));
  const int64_t weight = fields.Int("BlkioWeight");
  if (weight != 0 && (weight < 10 || weight > 1000)) {
    fields.Fail("BlkioWeight", "Range of blkio weight is from 10 to 1000");
  }
  resources.set_blkio_weight(static_cast<uint32_t>(weight));
  // -1 is how clients say "not set".
  const int64_t swappiness = fields.Int("MemorySwappiness", -1);
  if (swappiness != -1) resources.set_memory_swappiness(swappiness);
  resources.set_kernel_memory_bytes(fields.Int("KernelMemory"));
  return fields.status();
}

absl::Status ReadUlimits(JsonFields& host_config, pb::ContainerSpec& spec) {
  const json::array* list = host_config.Array("Ulimits");
  if (list == nullptr) return host_config.status();
  for (const json::value& item : *list) {
    if (!item.is_object()) {
      return absl::InvalidArgumentError("invalid JSON: HostConfig.Ulimits must be objects");
    }
    JsonFields fields(item.get_object(), "HostConfig.Ulimits");
    pb::Ulimit& limit = *spec.add_ulimits();
    limit.set_name(fields.String("Name"));
    limit.set_soft(fields.Int("Soft"));
    limit.set_hard(fields.Int("Hard"));
    RETURN_IF_ERROR(fields.status());
  }
  return host_config.status();
}

// [{"Path": "/dev/sda", "Rate": 1024}], or "Weight".
template <typename Repeated>
absl::Status ReadBlockLimits(JsonFields& host_config, absl::string_view name,
                             absl::string_view value_name, Repeated* limits) {
  const json::array* list = host_config.Array(name);
  if (list == nullptr) return host_config.status();
  for (const json::value& item : *list) {
    if (!item.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid JSON: HostConfig.", name, " must be objects"));
    }
    JsonFields fields(item.get_object(), absl::StrCat("HostConfig.", name));
    auto* limit = limits->Add();
    limit->set_path(fields.String("Path"));
    const int64_t value = fields.Int(value_name);
    if (value < 0) fields.Fail(value_name, absl::StrCat(value, " is negative"));
    limit->set_value(static_cast<uint64_t>(value));
    RETURN_IF_ERROR(fields.status());
  }
  return host_config.status();
}

absl::Status ReadAllBlockLimits(JsonFields& fields, pb::Resources& resources) {
  RETURN_IF_ERROR(ReadBlockLimits(fields, "BlkioWeightDevice", "Weight",
                                  resources.mutable_blkio_weight_devices()));
  RETURN_IF_ERROR(ReadBlockLimits(fields, "BlkioDeviceReadBps", "Rate",
                                  resources.mutable_blkio_read_bps_devices()));
  RETURN_IF_ERROR(ReadBlockLimits(fields, "BlkioDeviceWriteBps", "Rate",
                                  resources.mutable_blkio_write_bps_devices()));
  RETURN_IF_ERROR(ReadBlockLimits(fields, "BlkioDeviceReadIOps", "Rate",
                                  resources.mutable_blkio_read_iops_devices()));
  return ReadBlockLimits(fields, "BlkioDeviceWriteIOps", "Rate",
                         resources.mutable_blkio_write_iops_devices());
}

absl::Status ReadDevices(JsonFields& host_config, pb::ContainerSpec& spec) {
  if (const json::array* list = host_config.Array("Devices")) {
    for (const json::value& item : *list) {
      if (!item.is_object()) {
        return absl::InvalidArgumentError("invalid JSON: HostConfig.Devices must be objects");
      }
      JsonFields fields(item.get_object(), "HostConfig.Devices");
      pb::Device& device = *spec.add_devices();
      device.set_path_on_host(fields.String("PathOnHost"));
      device.set_path_in_container(fields.String("PathInContainer"));
      device.set_cgroup_permissions(fields.String("CgroupPermissions"));
      RETURN_IF_ERROR(fields.status());
    }
  }
  for (std::string& rule : host_config.Strings("DeviceCgroupRules")) {
    spec.add_device_cgroup_rules(std::move(rule));
  }
  return host_config.status();
}

// --gpus: what a dockerd says that has no driver for them.
absl::Status RefuseDeviceRequests(JsonFields& host_config) {
  const json::array* list = host_config.Array("DeviceRequests");
  if (list == nullptr || list->empty()) return host_config.status();
  if (!list->front().is_object()) {
    return absl::InvalidArgumentError("invalid JSON: HostConfig.DeviceRequests must be objects");
  }
  JsonFields fields(list->front().get_object(), "HostConfig.DeviceRequests");
  const std::string driver = fields.String("Driver");
  std::vector<std::string> groups;
  if (const json::array* capabilities = fields.Array("Capabilities")) {
    for (const json::value& group : *capabilities) {
      std::vector<std::string> names;
      if (const json::array* members = group.if_array()) {
        for (const json::value& name : *members) {
          if (name.is_string()) names.emplace_back(name.get_string());
        }
      }
      groups.push_back(absl::StrCat("[", absl::StrJoin(names, " "), "]"));
    }
  }
  RETURN_IF_ERROR(fields.status());
  return absl::InvalidArgumentError(absl::StrCat("could not select device driver \"", driver,
                                                 "\" with capabilities: [",
                                                 absl::StrJoin(groups, " "), "]"));
}

// What is of other systems, or of kernels with another configuration.
absl::Status ReadForeign(JsonFields& fields, std::vector<std::string>& warnings) {
  if (fields.Int("CpuRealtimePeriod") != 0 || fields.Int("CpuRealtimeRuntime") != 0) {
    return absl::InvalidArgumentError("Your kernel does not support CPU real-time scheduler");
  }
  if (fields.Int("IOMaximumIOps") != 0) {
    return absl::InvalidArgumentError(
        "Invalid QoS settings: linux does not support configuration of maximum IOPs");
  }
  if (fields.Int("IOMaximumBandwidth") != 0) {
    return absl::InvalidArgumentError(
        "Invalid QoS settings: linux does not support configuration of maximum bandwidth");
  }
  if (fields.Int("CpuPercent") != 0) {
    warnings.push_back("linux does not support CPU percent. Percent discarded.");
  }
  if (fields.Int("KernelMemoryTCP") != 0) {
    warnings.push_back(
        "Your kernel does not support kernel memory TCP limit capabilities or the cgroup is not "
        "mounted. Limitation discarded.");
  }
  fields.Int("CpuCount");
  return fields.status();
}

}  // namespace

absl::Status ReadResources(JsonFields& host_config, pb::ContainerSpec& spec,
                           std::vector<std::string>& warnings) {
  RETURN_IF_ERROR(ReadLimits(host_config, spec));
  RETURN_IF_ERROR(ReadAllBlockLimits(host_config, *spec.mutable_resources()));
  RETURN_IF_ERROR(ReadUlimits(host_config, spec));
  RETURN_IF_ERROR(ReadDevices(host_config, spec));
  RETURN_IF_ERROR(RefuseDeviceRequests(host_config));
  return ReadForeign(host_config, warnings);
}

}  // namespace slipway::gateway
