#include "runtime-agent/kernel/layer_mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/loop_device.h"

namespace slipway::agent {
namespace {

constexpr uint64_t kLayerAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME;

absl::StatusOr<Mount> MountErofs(const std::string& source, bool direct_io) {
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open("erofs"));
  RETURN_IF_ERROR(context.SetString("source", source));
  RETURN_IF_ERROR(context.SetFlag("ro"));
  if (direct_io) RETURN_IF_ERROR(context.SetFlag("directio"));
  return context.CreateMount(kLayerAttributes);
}

}  // namespace

absl::StatusOr<Mount> MountLayer(const std::string& layer_path, const LayerMountOptions& options) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(layer_path, O_RDONLY));
  struct stat stat;
  if (fstat(file.get(), &stat) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", layer_path));
  if (!S_ISREG(stat.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(layer_path, " is not a regular file"));
  }
  std::string source = DescriptorPath(file.get());
  if (!options.force_loop_device) {
    absl::StatusOr<Mount> mount = MountErofs(source, options.direct_io);
    // `directio` came after file-backed mounts, and not every file system can do it.
    if (!mount.ok() && options.direct_io) mount = MountErofs(source, /*direct_io=*/false);
    if (mount.ok()) return mount;
  }
  ASSIGN_OR_RETURN(
      const LoopDevice loop,
      AttachLoopDevice(file.get(), {.read_only = true, .direct_io = options.direct_io}));
  absl::StatusOr<Mount> mount = MountErofs(loop.path, /*direct_io=*/false);
  if (!mount.ok()) {
    return absl::Status(mount.status().code(),
                        absl::StrCat("mount layer ", layer_path, ": ", mount.status().message()));
  }
  return mount;
}

// The key space of the cache. An entry is either being mounted by one caller, or refers to what is
// mounted; an expired entry is mounted anew.
struct LayerMounts::State {
  struct Entry {
    bool mounting = false;
    std::weak_ptr<MountedLayer> layer;
  };

  explicit State(LayerMountOptions o) : options(o) {}

  const LayerMountOptions options;
  absl::Mutex mutex;
  absl::CondVar mounted;
  absl::flat_hash_map<std::string, Entry> entries ABSL_GUARDED_BY(mutex);

  void Forget(const std::string& diff_id) {
    absl::MutexLock lock(&mutex);
    auto it = entries.find(diff_id);
    if (it != entries.end() && !it->second.mounting && it->second.layer.expired()) {
      entries.erase(it);
    }
  }
};

class MountedLayer {
 public:
  MountedLayer(Mount mount, StagedMount staged, std::string diff_id,
               std::function<void(const std::string&)> forget)
      : mount_(std::move(mount)),
        staged_(std::move(staged)),
        diff_id_(std::move(diff_id)),
        forget_(std::move(forget)) {}
  ~MountedLayer() { forget_(diff_id_); }
  int fd() const { return mount_.fd(); }

 private:
  Mount mount_;
  StagedMount staged_;
  std::string diff_id_;
  std::function<void(const std::string&)> forget_;
};

int LayerHold::mount_fd() const { return layer_->fd(); }

LayerMounts::LayerMounts(LayerMountOptions options) : state_(std::make_shared<State>(options)) {}
LayerMounts::~LayerMounts() = default;

absl::StatusOr<LayerHold> LayerMounts::Acquire(const std::string& diff_id,
                                               const std::string& layer_path) {
  {
    absl::MutexLock lock(&state_->mutex);
    for (;;) {
      State::Entry& entry = state_->entries[diff_id];
      if (auto layer = entry.layer.lock()) return LayerHold(std::move(layer));
      if (!entry.mounting) {
        entry.mounting = true;
        break;
      }
      state_->mounted.Wait(&state_->mutex);
    }
  }
  absl::StatusOr<Mount> mount = MountLayer(layer_path, state_->options);
  absl::StatusOr<StagedMount> staged = mount.ok()
                                           ? StagedMount::Make(mount->fd(), state_->options.stage)
                                           : absl::StatusOr<StagedMount>(mount.status());
  std::shared_ptr<MountedLayer> layer;
  if (staged.ok()) {
    layer = std::make_shared<MountedLayer>(
        *std::move(mount), *std::move(staged), diff_id,
        [state = std::weak_ptr<State>(state_)](const std::string& id) {
          if (auto alive = state.lock()) alive->Forget(id);
        });
  }
  absl::MutexLock lock(&state_->mutex);
  state_->mounted.SignalAll();
  if (layer == nullptr) {
    state_->entries.erase(diff_id);
    return staged.status();
  }
  State::Entry& entry = state_->entries[diff_id];
  entry.mounting = false;
  entry.layer = layer;
  return LayerHold(std::move(layer));
}

size_t LayerMounts::mounted_count() const {
  absl::MutexLock lock(&state_->mutex);
  size_t count = 0;
  for (const auto& [id, entry] : state_->entries) count += entry.layer.expired() ? 0 : 1;
  return count;
}

}  // namespace slipway::agent
