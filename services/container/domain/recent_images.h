#ifndef SERVICES_CONTAINER_DOMAIN_RECENT_IMAGES_H_
#define SERVICES_CONTAINER_DOMAIN_RECENT_IMAGES_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/container/ports/image_port.h"

namespace slipway::container {

// What the image service last said of a reference: a guess of what it will say next, by which a
// create may go ahead while it asks. Bounded. Thread-safe.
class RecentImages {
 public:
  static constexpr size_t kMaximum = 256;  // a few kilobytes each

  // Null when there is no guess.
  std::shared_ptr<const Image> Find(absl::string_view reference) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto found = images_.find(reference);
    return found == images_.end() ? nullptr : found->second;
  }
  void Put(absl::string_view reference, std::shared_ptr<const Image> image)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    // Who names more images than that soon names each for the first time: start over.
    if (images_.size() >= kMaximum && !images_.contains(reference)) images_.clear();
    images_[reference] = std::move(image);
  }
  void Forget(absl::string_view reference) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    images_.erase(reference);
  }

 private:
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<const Image>> images_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_RECENT_IMAGES_H_
