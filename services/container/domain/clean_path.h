#ifndef SERVICES_CONTAINER_DOMAIN_CLEAN_PATH_H_
#define SERVICES_CONTAINER_DOMAIN_CLEAN_PATH_H_

#include <string>

#include "absl/strings/string_view.h"

namespace slipway::container {

// A path inside a container without dots and doubled slashes: "/a/../b//c/" becomes "/b/c", and
// ".." at the top stays at the top. Pure.
std::string CleanTarget(absl::string_view path);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_CLEAN_PATH_H_
