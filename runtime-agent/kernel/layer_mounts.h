#ifndef RUNTIME_AGENT_KERNEL_LAYER_MOUNTS_H_
#define RUNTIME_AGENT_KERNEL_LAYER_MOUNTS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

struct LayerMountOptions {
  // Mount through a loop device even where the kernel can mount a file (Linux 6.12 on).
  bool force_loop_device = false;
  // Read the layer file past the page cache, so that its data is cached once (by EROFS) and not
  // twice.
  bool direct_io = true;
  // Where layers are attached on kernels that need it (StagedMount).
  std::string stage = "/tmp";
};

// Mounts one EROFS file read-only and detached; no cache. The loop device, where one is used, frees
// itself with the mount. `layer_path` must be a regular file.
absl::StatusOr<Mount> MountLayer(const std::string& layer_path, const LayerMountOptions& options);

class MountedLayer;

// Keeps a layer mounted. Copyable; the layer is unmounted when the last hold and every overlay over
// it are gone.
class LayerHold {
 public:
  LayerHold() = default;
  // Of the layer's mount; valid as long as the hold is.
  int mount_fd() const;
  bool ok() const { return layer_ != nullptr; }

 private:
  friend class LayerMounts;
  explicit LayerHold(std::shared_ptr<MountedLayer> layer) : layer_(std::move(layer)) {}
  std::shared_ptr<MountedLayer> layer_;
};

// Every layer mounted at most once at a time, however many containers use it. Thread-safe; no lock
// is held while the kernel mounts: a second caller for the same layer waits for the first, callers
// for other layers do not. Must outlive nothing: holds may outlive it.
class LayerMounts {
 public:
  explicit LayerMounts(LayerMountOptions options = {});
  ~LayerMounts();

  // `diff_id` names the layer (the key of the cache), `layer_path` is where its file is if it must
  // be mounted. After a failure the next call tries again.
  absl::StatusOr<LayerHold> Acquire(const std::string& diff_id, const std::string& layer_path);

  size_t mounted_count() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_LAYER_MOUNTS_H_
