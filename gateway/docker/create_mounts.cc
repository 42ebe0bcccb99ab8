#include "gateway/docker/create_mounts.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::container::v1;

bool IsPropagation(absl::string_view word) {
  return word == "private" || word == "rprivate" || word == "shared" || word == "rshared" ||
         word == "slave" || word == "rslave";
}

// Of each kind at most one, as Docker has it. z and Z label for SELinux, which no host of ours has;
// consistency is for other systems.
absl::Status ReadBindOptions(absl::string_view options, absl::string_view bind, pb::Mount& mount) {
  int access = 0;
  int label = 0;
  int propagation = 0;
  int copy = 0;
  int consistency = 0;
  bool known = true;
  for (absl::string_view option : absl::StrSplit(options, ',', absl::SkipEmpty())) {
    if (option == "ro" || option == "rw") {
      ++access;
      mount.set_read_only(option == "ro");
    } else if (IsPropagation(option)) {
      ++propagation;
      mount.set_propagation(std::string(option));
    } else if (option == "z" || option == "Z") {
      ++label;
    } else if (option == "nocopy") {
      ++copy;
      mount.set_volume_no_copy(true);
    } else if (option == "cached" || option == "consistent" || option == "delegated") {
      ++consistency;
    } else {
      known = false;
    }
  }
  if (!known || access > 1 || label > 1 || propagation > 1 || copy > 1 || consistency > 1) {
    return absl::InvalidArgumentError(absl::StrCat("invalid mode: ", options));
  }
  mount.set_mode(std::string(options));
  const bool is_bind = mount.type() == pb::Mount::TYPE_BIND;
  if (is_bind ? copy > 0 : propagation > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid volume specification: '", bind, "': invalid mount config for type \"",
                     is_bind ? "bind" : "volume", "\": field ",
                     is_bind ? "VolumeOptions" : "BindOptions", " must not be specified"));
  }
  return absl::OkStatus();
}

absl::Status BadMount(absl::string_view type, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid mount config for type \"", type, "\": ", what));
}

absl::Status CheckTarget(absl::string_view target) {
  if (!absl::StartsWith(target, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid mount path: '", target, "' mount path must be absolute"));
  }
  if (target.find_first_not_of('/') == absl::string_view::npos) {
    return absl::InvalidArgumentError("invalid specification: destination can't be '/'");
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
  if (target.empty() || (has_source && parts[0].empty())) return invalid();
  const bool is_path = has_source && absl::StartsWith(parts[0], "/");
  if (const absl::Status good = CheckTarget(target); !good.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid volume specification: '", bind,
                     "': ", BadMount(is_path ? "bind" : "volume", good.message()).message()));
  }
  mount.set_target(target);
  mount.set_type(is_path ? pb::Mount::TYPE_BIND : pb::Mount::TYPE_VOLUME);
  if (has_source) mount.set_source(parts[0]);
  // `-v` makes what is missing; `--mount` does not.
  mount.set_create_source(is_path);
  if (parts.size() == 3 && !parts[2].empty()) return ReadBindOptions(parts[2], bind, mount);
  if (has_source && !is_path) mount.set_mode("z");  // what dockerd says of volumes with a name
  return absl::OkStatus();
}

// Bytes, with a unit as the kernel reads them.
bool ParseTmpfsSize(absl::string_view number, int64_t* size) {
  static constexpr absl::string_view kUnits = "kmgtpe";
  int64_t unit = 1;
  if (!number.empty()) {
    const size_t at = kUnits.find(absl::ascii_tolower(static_cast<unsigned char>(number.back())));
    if (at != absl::string_view::npos) {
      unit = int64_t{1} << (10 * (at + 1));
      number.remove_suffix(1);
    }
  }
  if (!absl::SimpleAtoi(number, size) || *size < 0 ||
      *size > std::numeric_limits<int64_t>::max() / unit) {
    return false;
  }
  *size *= unit;
  return true;
}

// A part of the memory.
bool IsTmpfsShare(absl::string_view number) {
  uint32_t percent = 0;
  return absl::ConsumeSuffix(&number, "%") && absl::SimpleAtoi(number, &percent);
}

absl::Status ReadTmpfsOption(absl::string_view option, std::vector<absl::string_view>& rest,
                             pb::Mount& mount) {
  if (option == "ro" || option == "rw") {
    mount.set_read_only(option == "ro");
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
    int64_t size = 0;
    const bool share = IsTmpfsShare(option.substr(5));
    if (!share && !ParseTmpfsSize(option.substr(5), &size)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid tmpfs option \"", option, "\""));
    }
    // The last one given counts; zero bytes are no limit, which is not the default.
    if (size == 0) rest.push_back(option);
    mount.set_tmpfs_size_bytes(size);
  } else if (!option.empty()) {
    rest.push_back(option);
  }
  return absl::OkStatus();
}

absl::Status ReadTmpfs(const std::string& target, const std::string& options, pb::Mount& mount) {
  RETURN_IF_ERROR(CheckTarget(target));
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
    return BadMount("bind", absl::StrCat("invalid propagation mode: ", mount.propagation()));
  }
  mount.set_create_source(options.Bool("CreateMountpoint"));
  mount.set_non_recursive(options.Bool("NonRecursive"));
  mount.set_read_only_non_recursive(options.Bool("ReadOnlyNonRecursive"));
  mount.set_read_only_force_recursive(options.Bool("ReadOnlyForceRecursive"));
  return options.status();
}

absl::Status ReadVolumeSection(JsonFields& fields, pb::Mount& mount) {
  const json::object* object = fields.Object("VolumeOptions");
  if (object == nullptr) return fields.status();
  JsonFields options(*object, fields.PathOf("VolumeOptions"));
  for (auto& [key, value] : options.StringMap("Labels")) {
    (*mount.mutable_volume_labels())[key] = value;
  }
  mount.set_volume_no_copy(options.Bool("NoCopy"));
  mount.set_volume_subpath(options.String("Subpath"));
  if (const json::object* driver = options.Object("DriverConfig")) {
    JsonFields config(*driver, options.PathOf("DriverConfig"));
    for (auto& [key, value] : config.StringMap("Options")) {
      (*mount.mutable_volume_options())[key] = value;
    }
    mount.set_volume_driver(config.String("Name"));
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
  RETURN_IF_ERROR(options.status());
  const json::array* list = options.Array("Options");
  if (list == nullptr) return options.status();
  // [["noexec"], ["uid", "7"]]
  std::vector<std::string> more;
  for (const json::value& item : *list) {
    std::vector<std::string> words;
    if (const json::array* parts = item.if_array()) {
      for (const json::value& part : *parts) {
        if (part.is_string()) words.emplace_back(part.get_string());
      }
    }
    if (words.empty() || words.size() > 2) return BadMount("tmpfs", "invalid option array length");
    more.push_back(absl::StrJoin(words, "="));
  }
  mount.set_tmpfs_options(absl::StrJoin(more, ","));
  return absl::OkStatus();
}

absl::Status ReadMount(const json::object& object, pb::Mount& mount) {
  JsonFields fields(object, "HostConfig.Mounts");
  const std::string type = fields.String("Type");
  mount.set_source(fields.String("Source"));
  mount.set_target(fields.String("Target"));
  mount.set_read_only(fields.Bool("ReadOnly"));
  RETURN_IF_ERROR(fields.status());
  if (type == "image") {
    return absl::UnimplementedError("option HostConfig.Mounts of type \"image\" is not supported");
  }
  if (type != "bind" && type != "volume" && type != "tmpfs") {
    return BadMount(type, "mount type unknown");
  }
  if (mount.target().empty()) return BadMount(type, "field Target must not be empty");
  if (const absl::Status good = CheckTarget(mount.target()); !good.ok()) {
    return BadMount(type, good.message());
  }
  if (type != "bind" && fields.Find("BindOptions") != nullptr) {
    return BadMount(type, "field BindOptions must not be specified");
  }
  if (type != "volume" && fields.Find("VolumeOptions") != nullptr) {
    return BadMount(type, "field VolumeOptions must not be specified");
  }
  if (type == "bind") {
    mount.set_type(pb::Mount::TYPE_BIND);
    if (mount.source().empty()) return BadMount(type, "field Source must not be empty");
    if (!absl::StartsWith(mount.source(), "/")) {
      return BadMount(type, absl::StrCat("invalid mount path: '", mount.source(),
                                         "' mount path must be absolute"));
    }
    return ReadBindSection(fields, mount);
  }
  if (type == "volume") {
    mount.set_type(pb::Mount::TYPE_VOLUME);
    mount.set_mode("z");
    if (mount.source().empty() && mount.read_only()) {
      return BadMount(type, "must not set ReadOnly mode when using anonymous volumes");
    }
    return ReadVolumeSection(fields, mount);
  }
  mount.set_type(pb::Mount::TYPE_TMPFS);
  if (!mount.source().empty()) return BadMount(type, "field Source must not be specified");
  return ReadTmpfsSection(fields, mount);
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
  for (std::string& from : host_config.Strings("VolumesFrom")) {
    spec.add_volumes_from(std::move(from));
  }
  const std::string driver = host_config.String("VolumeDriver");
  for (pb::Mount& mount : *spec.mutable_mounts()) {
    if (mount.type() == pb::Mount::TYPE_VOLUME && mount.volume_driver().empty()) {
      mount.set_volume_driver(driver);
    }
  }
  return host_config.status();
}

}  // namespace slipway::gateway
