#include "services/build/domain/cache_volumes.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/status/status_macros.h"

namespace slipway::build {

absl::StatusOr<VolumePruneOutcome> PruneCacheVolumes(const PruneRequest& request,
                                                     Volumes& volumes) {
  ASSIGN_OR_RETURN(std::vector<CacheVolume> all, volumes.List());
  std::sort(all.begin(), all.end(),
            [](const CacheVolume& a, const CacheVolume& b) { return a.size_bytes < b.size_bytes; });
  VolumePruneOutcome outcome;
  for (const CacheVolume& volume : all) {
    const bool named = request.ids.empty() ||
                       std::any_of(request.ids.begin(), request.ids.end(), [&](const auto& id) {
                         return !id.empty() && absl::StartsWith(volume.name, id);
                       });
    const bool fits =
        request.keep_bytes > 0 && outcome.kept_bytes + volume.size_bytes <= request.keep_bytes;
    // One that a step takes at this moment is not removed either.
    if (!named || volume.in_use || fits || request.until_unix_ns != 0 ||
        !volumes.Remove(volume.name).ok()) {
      outcome.kept_bytes += volume.size_bytes;
      continue;
    }
    outcome.removed.ids.push_back(volume.name);
    outcome.removed.reclaimed_bytes += volume.size_bytes;
  }
  return outcome;
}

}  // namespace slipway::build
