#ifndef RUNTIME_AGENT_DOMAIN_SKELETON_H_
#define RUNTIME_AGENT_DOMAIN_SKELETON_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

// The places that Docker's mounts need and an image may lack (/proc, /dev, /sys, /etc/hosts and so
// on), as a topmost read-only layer: a start then writes nothing into the container's own layer,
// and what a container changed can be told from what was put there. Docker's "init layer".
//
// Kept in a file system in memory that nobody else sees; overlays that use it keep it alive.
// Thread-safe.
class Skeletons {
 public:
  // `stage`: where it is attached on kernels that need it (StagedMount).
  static absl::StatusOr<std::unique_ptr<Skeletons>> Create(const std::string& stage);

  // Of the image whose content is below `view_fd`; `key` names the image. The descriptor is shared.
  absl::StatusOr<std::shared_ptr<const UniqueFd>> Find(const std::string& key) const;
  absl::StatusOr<std::shared_ptr<const UniqueFd>> Make(const std::string& key, int view_fd);

 private:
  Skeletons(UniqueFd root, StagedMount staged)
      : root_(std::move(root)), staged_(std::move(staged)) {}

  const UniqueFd root_;
  const StagedMount staged_;
  mutable absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const UniqueFd>> made_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_SKELETON_H_
