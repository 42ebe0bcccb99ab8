#include "gateway/docker/create_mounts.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

bool IsPropagation(absl::string_view word) {
  return word == "private" || word == "rprivate" || word == "shared" || word == "rshared" ||
         word == "slave" || word == "rslave";
}

absl::Status ReadBindOptions(absl::string_view options, absl::string_view bind, pb::Mount& mount) {
  for (absl::string_view option : absl::StrSplit(options, ',')) {
    if (option == "ro") {
      mount.set_read_only(true);
    } else if (IsPropagation(option)) {
      mount.set_propagation(std::string(option));
    } else if (option != "rw" && option != "z" && option != "Z" && option != "nocopy" &&
               option != "cached" && option != "consistent" && option != "delegated") {
      // z and Z label for SELinux, which no host of ours has; the last three are for other systems.
      return absl::InvalidArgumentError(
          absl::StrCat("invalid volume specification: '", bind, "': invalid mode: ", options));
    }
  }
  return absl::OkStatus();
}

// "[source:]target[:options]"
absl::Status ReadBind(const std::string& bind, pb::Mount& mount) {
  const std::vector<std::string> parts = absl::StrSplit(bind, ':');
  const auto invalid = [&bind] {
    return absl::InvalidArgumentError(absl::StrCat("invalid volume specification: '", bind, "'"));
  };
  if (parts.size() > 3) return invalid();
  const bool has_source = parts.size() >= 2;
  const std::string& target = has_source ? parts[1] : parts[0];
  if (!absl::StartsWith(target, "/") || target == "/" || (has_source && parts[0].empty())) {
    return invalid();
  }
  mount.set_target(target);
  const bool is_path = has_source && absl::StartsWith(parts[0], "/");
  mount.set_type(is_path ? pb::Mount::TYPE_BIND : pb::Mount::TYPE_VOLUME);
  if (has_source) mount.set_source(parts[0]);
  // `-v` makes what is missing; `--mount` does not.
  mount.set_create_source(is_path);
  if (parts.size() == 3) return ReadBindOptions(parts[2], bind, mount);
  return absl::OkStatus();
}

absl::Status ReadTmpfsOption(absl::string_view option, std::vector<absl::string_view>& rest,
                             pb::Mount& mount) {
  if (option == "ro") {
    mount.set_read_only(true);
  } else if (absl::StartsWith(option, "mode=")) {
    uint32_t mode = 0;
    for (const char c : option.substr(5)) {
      if (c < '0' || c > '7') {
        return absl::InvalidArgumentError(absl::StrCat("invalid tmpfs option \"", option, "\""));
      }
      mode = mode * 8 + static_cast<uint32_t>(c - '0');
    }
    mount.set_tmpfs_mode(mode & 07777);
  } else if (absl::StartsWith(option, "size=")) {
    absl::string_view number = option.substr(5);
    int64_t unit = 1;
    if (!number.empty()) {
      const char last = number.back();
      if (last == 'k' || last == 'K') unit = int64_t{1} << 10;
      if (last == 'm' || last == 'M') unit = int64_t{1} << 20;
      if (last == 'g' || last == 'G') unit = int64_t{1} << 30;
      if (unit != 1) number.remove_suffix(1);
    }
    int64_t size = 0;
    if (!absl::SimpleAtoi(number, &size) || size < 0 || size > (int64_t{1} << 62) / unit) {
      return absl::InvalidArgumentError(absl::StrCat("invalid tmpfs option \"", option, "\""));
    }
    mount.set_tmpfs_size_bytes(size * unit);
  } else if (!option.empty() && option != "rw") {
    rest.push_back(option);
  }
  return absl::OkStatus();
}

absl::Status ReadTmpfs(const std::string& target, const std::string& options, pb::Mount& mount) {
  if (!absl::StartsWith(target, "/") || target == "/") {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid mount target \"", target, "\": must be an absolute path"));
  }
  mount.set_type(pb::Mount::TYPE_TMPFS);
  mount.set_target(target);
  std::vector<absl::string_view> rest;
  for (absl::string_view option : absl::StrSplit(options, ',')) {
    RETURN_IF_ERROR(ReadTmpfsOption(option, rest, mount));
  }
  mount.set_tmpfs_options(absl::StrJoin(rest, ","));
  return absl::OkStatus();
}

absl::Status ReadBindSection(JsonFields& fields, pb::Mount& mount) {
  const json::object* object = fields.Object("BindOptions");
  if (object == nullptr) return fields.status();
  JsonFields options(*object, fields.PathOf("BindOptions"));
  mount.set_propagation(options.String("Propagation"));
  if (!mount.propagation().empty() && !IsPropagation(mount.propagation())) {
    options.Fail("Propagation", absl::StrCat("\"", mount.propagation(), "\""));
  }
  mount.set_create_source(options.Bool("CreateMountpoint"));
  for (const char* name : {"NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"}) {
    options.Refuse(name);
  }
  return options.status();
}

absl::Status ReadVolumeSection(JsonFields& fields) {
  const json::object* object = fields.Object("VolumeOptions");
  if (object == nullptr) return fields.status();
  JsonFields options(*object, fields.PathOf("VolumeOptions"));
  options.Refuse("Labels");
  options.Refuse("Subpath");
  if (const json::object* driver = options.Object("DriverConfig")) {
    JsonFields config(*driver, options.PathOf("DriverConfig"));
    config.Refuse("Options");
    const std::string name = config.String("Name");
    if (!name.empty() && name != "local") config.Refuse("Name");
    options.Join(config.status());
  }
  return options.status();
}

absl::Status ReadTmpfsSection(JsonFields& fields, pb::Mount& mount) {
  const json::object* object = fields.Object("TmpfsOptions");
  if (object == nullptr) return fields.status();
  JsonFields options(*object, fields.PathOf("TmpfsOptions"));
  mount.set_tmpfs_size_bytes(options.Int("SizeBytes"));
  mount.set_tmpfs_mode(static_cast<uint32_t>(options.Int("Mode")) & 07777);
  options.Refuse("Options");
  return options.status();
}

absl::Status ReadMount(const json::object& object, pb::Mount& mount) {
  JsonFields fields(object, "HostConfig.Mounts");
  const std::string type = fields.String("Type");
  mount.set_source(fields.String("Source"));
  mount.set_target(fields.String("Target"));
  mount.set_read_only(fields.Bool("ReadOnly"));
  RETURN_IF_ERROR(fields.status());
  if (!absl::StartsWith(mount.target(), "/") || mount.target() == "/") {
    return absl::InvalidArgumentError(absl::StrCat("invalid mount config for type \"", type,
                                                   "\": invalid mount path: '", mount.target(),
                                                   "' mount path must be absolute"));
  }
  if (type == "bind") {
    mount.set_type(pb::Mount::TYPE_BIND);
    if (!absl::StartsWith(mount.source(), "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid mount config for type \"bind\": invalid mount path: '",
                       mount.source(), "' mount path must be absolute"));
    }
    return ReadBindSection(fields, mount);
  }
  if (type == "volume") {
    mount.set_type(pb::Mount::TYPE_VOLUME);
    return ReadVolumeSection(fields);
  }
  if (type == "tmpfs") {
    mount.set_type(pb::Mount::TYPE_TMPFS);
    return ReadTmpfsSection(fields, mount);
  }
  if (type.empty()) {
    return absl::InvalidArgumentError("invalid mount config for type \"\": mount type unknown");
  }
  return absl::UnimplementedError(
      absl::StrCat("option HostConfig.Mounts of type \"", type, "\" is not supported"));
}

}  // namespace

absl::Status ReadMounts(JsonFields& host_config, pb::ContainerSpec& spec) {
  for (const std::string& bind : host_config.Strings("Binds")) {
    RETURN_IF_ERROR(ReadBind(bind, *spec.add_mounts()));
  }
  for (const auto& [target, options] : host_config.StringMap("Tmpfs")) {
    RETURN_IF_ERROR(ReadTmpfs(target, options, *spec.add_mounts()));
  }
  if (const json::array* mounts = host_config.Array("Mounts")) {
    for (const json::value& item : *mounts) {
      if (!item.is_object()) {
        return absl::InvalidArgumentError("invalid JSON: HostConfig.Mounts must be objects");
      }
      RETURN_IF_ERROR(ReadMount(item.get_object(), *spec.add_mounts()));
    }
  }
  return host_config.status();
}

}  // namespace slipway::gateway
