#ifndef SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_
#define SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
  bool no_cache = false;
  bool pull = false;
  bool plan_only = false;
  bool keep_containers = false;
  bool remove_failed_container = false;
  Platform platform;                           // empty: that of the host
  std::string network;                         // of RUN steps, for their keys
  std::map<std::string, std::string> secrets;  // never stored, never printed
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_BUILD_REQUEST_H_
