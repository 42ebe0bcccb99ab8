#ifndef SERVICES_BUILD_PORTS_VOLUMES_H_
#define SERVICES_BUILD_PORTS_VOLUMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::build {

// What volumes of RUN --mount=type=cache have in front of their names.
inline constexpr char kCacheVolumePrefix[] = "build-cache-";

// A volume that RUN steps share.
struct CacheVolume {
  std::string name;
  int64_t size_bytes = 0;
  int64_t created_unix_ns = 0;
  bool in_use = false;  // a container has it
};

// The cache volumes of this instance. Thread-safe.
class Volumes {
 public:
  virtual ~Volumes() = default;
  virtual absl::StatusOr<std::vector<CacheVolume>> List() = 0;
  // FailedPrecondition for one that a container has.
  virtual absl::Status Remove(const std::string& name) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_VOLUMES_H_
