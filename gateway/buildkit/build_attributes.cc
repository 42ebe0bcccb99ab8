#include "gateway/buildkit/build_attributes.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"
#include "gateway/docker/image_reference.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;

// "nofile=1024:2048,nproc=5"
absl::Status ReadUlimits(const std::string& text, pb::BuildOptions& options) {
  for (const absl::string_view item : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> pair = absl::StrSplit(item, absl::MaxSplits('=', 1));
    const std::vector<std::string> bounds =
        pair.size() == 2 ? absl::StrSplit(pair[1], ':') : std::vector<std::string>();
    int64_t soft = 0;
    int64_t hard = 0;
    if (bounds.empty() || bounds.size() > 2 || !absl::SimpleAtoi(bounds.front(), &soft) ||
        !absl::SimpleAtoi(bounds.back(), &hard)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid ulimit: ", item));
    }
    auto& limit = *options.add_ulimits();
    limit.set_name(pair[0]);
    limit.set_soft(soft);
    limit.set_hard(hard);
  }
  return absl::OkStatus();
}

// False where the key is none of these.
absl::StatusOr<bool> ReadOption(const std::string& key, const std::string& value,
                                pb::BuildOptions& options) {
  if (key == "filename") {
    options.set_dockerfile(value);
  } else if (key == "target") {
    options.set_target_stage(value);
  } else if (key == "platform") {
    if (absl::StrContains(value, ',')) {
      return absl::UnimplementedError("a build for several platforms at once is not supported");
    }
    if (!value.empty()) {
      ASSIGN_OR_RETURN(*options.mutable_platform(), ParsePlatform(value));
    }
  } else if (key == "no-cache") {
    // With names of stages only these are made anew: here all are.
    options.set_no_cache(true);
  } else if (key == "image-resolve-mode") {
    options.set_pull(value == "pull");
  } else if (key == "force-network-mode") {
    options.set_network_mode(value);
  } else if (key == "add-hosts") {
    for (absl::string_view host : absl::StrSplit(value, ',', absl::SkipEmpty())) {
      const std::vector<std::string> pair = absl::StrSplit(host, absl::MaxSplits('=', 1));
      if (pair.size() != 2) {
        return absl::InvalidArgumentError(absl::StrCat("invalid add-hosts: ", host));
      }
      options.add_extra_hosts(absl::StrCat(pair[0], ":", pair[1]));
    }
  } else if (key == "shm-size") {
    int64_t bytes = 0;
    if (!absl::SimpleAtoi(value, &bytes) || bytes < 0) {
      return absl::InvalidArgumentError(absl::StrCat("invalid shm-size: ", value));
    }
    options.set_shm_size_bytes(bytes);
  } else if (key == "ulimit") {
    RETURN_IF_ERROR(ReadUlimits(value, options));
  } else if (key == "cgroup-parent") {
    options.mutable_resources()->set_cgroup_parent(value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<BuildKitBuild> ReadBuildAttributes(
    const std::map<std::string, std::string>& attributes) {
  BuildKitBuild build;
  bool dockerfile_named = false;
  for (const auto& [key, value] : attributes) {
    ASSIGN_OR_RETURN(const bool taken, ReadOption(key, value, build.options));
    if (taken) continue;
    absl::string_view name = key;
    if (absl::ConsumePrefix(&name, "build-arg:")) {
      (*build.options.mutable_build_args())[std::string(name)] = value;
    } else if (absl::ConsumePrefix(&name, "label:")) {
      auto& label = *build.options.add_labels();
      label.set_name(std::string(name));
      label.set_value(value);
    } else if (absl::ConsumePrefix(&name, "context:")) {
      absl::string_view image = value;
      if (!absl::ConsumePrefix(&image, "docker-image://") || image.empty()) {
        return absl::UnimplementedError(absl::StrCat("--build-context ", name, "=", value,
                                                     ": only docker-image:// is supported"));
      }
      (*build.options.mutable_named_images())[std::string(name)] = std::string(image);
    } else if (key == "requestid") {
      return absl::UnimplementedError(absl::StrCat("unsupported request ", value));
    } else if (key == "context") {
      build.context = value;
    } else if (key == "contextkey") {
      build.context_directory = value;
    } else if (key == "dockerfilekey") {
      build.dockerfile_directory = value;
      dockerfile_named = true;
    }
  }
  build.dockerfile_of_session = build.context.empty() || dockerfile_named;
  return build;
}

absl::Status ReadExporter(const std::string& type,
                          const std::map<std::string, std::string>& attributes,
                          BuildKitBuild& build) {
  const auto get = [&attributes](const char* name) {
    const auto found = attributes.find(name);
    return found == attributes.end() ? std::string() : found->second;
  };
  if (type.empty()) return absl::OkStatus();
  if (type == "moby" || type == "image" || (type == "docker" && get("dest").empty())) {
    build.output = "moby";
    for (const absl::string_view name : absl::StrSplit(get("name"), ',', absl::SkipEmpty())) {
      build.options.add_tags(std::string(name));
    }
    return absl::OkStatus();
  }
  if (type == "tar" || type == "local") {
    if (!get("platform-split").empty() && get("platform-split") != "false") {
      return absl::UnimplementedError("platform-split of an output is not supported");
    }
    build.output = type;
    return absl::OkStatus();
  }
  return absl::UnimplementedError(absl::StrCat(
      "output type ", type, " is not supported: an image (the default), local and tar are"));
}

}  // namespace slipway::gateway
