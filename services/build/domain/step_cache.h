#ifndef SERVICES_BUILD_DOMAIN_STEP_CACHE_H_
#define SERVICES_BUILD_DOMAIN_STEP_CACHE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/build/ports/cache_store.h"
#include "services/build/ports/images.h"

namespace slipway::build {

struct PruneRequest {
  bool all = false;              // also steps of images with a name
  int64_t until_unix_ns = 0;     // last used before; 0: whenever
  int64_t keep_bytes = 0;        // the latest used stay, up to this size
  std::vector<std::string> ids;  // keys or prefixes of them; none: all
};

struct PruneOutcome {
  std::vector<std::string> ids;
  int64_t reclaimed_bytes = 0;
};

// A step with what the images say of it.
struct CacheEntry {
  CachedStep step;
  bool in_use = false;     // an image with a name is made of it
  int64_t size_bytes = 0;  // what the step added
};

// All steps that were made, in memory, and in a store behind. Thread-safe.
class StepCache {
 public:
  // `store` outlives it. The oldest steps go when there are more than 50,000.
  static absl::StatusOr<std::unique_ptr<StepCache>> Load(CacheStore& store);

  // The image; counts as a use.
  std::optional<std::string> Find(const std::string& key);
  void Record(CachedStep step);
  void Forget(const std::string& key);

  absl::StatusOr<std::vector<CacheEntry>> List(Images& images) const;
  // Removes the images of the steps, too, where nothing else needs them.
  absl::StatusOr<PruneOutcome> Prune(const PruneRequest& request, Images& images);

 private:
  explicit StepCache(CacheStore& store) : store_(store) {}
  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  CacheStore& store_;
  mutable absl::Mutex mu_;
  std::map<std::string, CachedStep> steps_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_STEP_CACHE_H_
