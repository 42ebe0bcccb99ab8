#ifndef SERVICES_BUILD_DOMAIN_CACHE_VOLUMES_H_
#define SERVICES_BUILD_DOMAIN_CACHE_VOLUMES_H_

#include "absl/status/statusor.h"
#include "services/build/domain/step_cache.h"
#include "services/build/ports/volumes.h"

namespace slipway::build {

// Removes the cache volumes that no container has and `request` lets go, and says how many bytes
// stay. They have no time of last use: with `until` all stay. With `keep_bytes` those stay that
// fit, the smallest first.
struct VolumePruneOutcome {
  PruneOutcome removed;
  int64_t kept_bytes = 0;
};
absl::StatusOr<VolumePruneOutcome> PruneCacheVolumes(const PruneRequest& request, Volumes& volumes);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_CACHE_VOLUMES_H_
