#ifndef SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_
#define SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "services/build/ports/image_config.h"

namespace slipway::build {

struct BuildRequest {
  std::string dockerfile = "Dockerfile";  // path inside the context
  std::optional<std::string> dockerfile_content;
  std::string remote;  // URL of the context, or of the Dockerfile alone
  std::vector<std::string> tags;
  std::map<std::string, std::string> build_args;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string target;  // stage; empty: the last
  // Images that take the place of others, or of stages, by the name that the Dockerfile has, as
  // Docker shortens it ("alpine:3", not "docker.io/library/alpine:3").
  std::map<std::string, std::string> named_images;
  bool no_cache = false;
  bool pull = false;
  bool squash = false;
  bool context_is_filtered = false;  // by .dockerignore
  bool plan_only = false;
  bool keep_containers = false;
  bool remove_failed_container = false;
  Platform platform;                           // empty: that of the host
  std::string network;                         // of RUN steps, for their keys
  std::map<std::string, std::string> secrets;  // never stored, never printed

  // SOURCE_DATE_EPOCH; 0: not given.
  int64_t epoch_s() const {
    const auto found = build_args.find("SOURCE_DATE_EPOCH");
    int64_t seconds = 0;
    if (found == build_args.end() || !absl::SimpleAtoi(found->second, &seconds)) return 0;
    return std::max<int64_t>(0, seconds);
  }
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_
