#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/kernel/mount.h"
#include "runtime-agent/kernel/overlay.h"

// The file system of a container: the image's layers, the mount points, its own layer.
namespace slipway::agent {
namespace {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  return OpenFile(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

// A copy of what is mounted there, with the ids of a user namespace.
absl::StatusOr<Mount> MappedTree(int directory, const std::string& path, const UniqueFd& users) {
  ASSIGN_OR_RETURN(Mount tree, CloneTree(directory, path, false));
  RETURN_IF_ERROR(SetMountAttributes(tree.fd(), "", {.user_namespace = users.get()}, false));
  return tree;
}

// An overlay that was mounted as "volatile" leaves a mark by which it is not mounted again, because
// a crash may have taken some of it (Documentation/filesystems/overlayfs.rst, "Volatile mount").
// Only what goes with its container is mounted so, and such a container does not outlive a crash.
void ForgetVolatileMount(const std::string& directory) {
  const std::string mark = absl::StrCat(directory, "/work/work/incompat");
  unlink(absl::StrCat(mark, "/volatile/dirty").c_str());
  rmdir(absl::StrCat(mark, "/volatile").c_str());
  rmdir(mark.c_str());
}

}  // namespace

absl::StatusOr<std::vector<LayerHold>> Runtime::LayersOf(Container& container) {
  const Definition& definition = container.definition();
  if (container.layers().size() != definition.layer_diff_ids.size()) {
    ASSIGN_OR_RETURN(std::vector<LayerHold> layers, HoldLayers(definition.layer_diff_ids));
    container.SetLayers(std::move(layers));
  }
  return container.layers();
}

// Mounted once at a time where the kernel can copy detached mounts (Linux 6.15): two overlays over
// one upper directory do not know of each other's changes.
absl::StatusOr<UniqueFd> Runtime::UserNamespaceOf(const Definition& definition) const {
  if (definition.first_uid == 0) return UniqueFd();
  if (settings_.remap == nullptr || settings_.remap->first_uid != definition.first_uid ||
      settings_.remap->first_gid != definition.first_gid) {
    return absl::FailedPreconditionError(
        absl::StrCat("the container was created with users from ", definition.first_uid,
                     " on, which are not those that the agent was started with (--userns_remap)"));
  }
  UniqueFd copy(fcntl(settings_.remap->containers.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.ok()) return ErrnoStatus(errno, "duplicate a user namespace");
  return copy;
}

absl::Status Runtime::MapIds(const Definition& definition, const UniqueFd& tree) const {
  if (definition.first_uid == 0 || !tree.ok()) return absl::OkStatus();
  return SetMountAttributes(tree.get(), "", {.user_namespace = settings_.remap->containers.get()},
                            false);
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> Runtime::OverlayOf(Container& container,
                                                                   bool skip_sync) {
  const Definition& definition = container.definition();
  if (auto mounted = container.overlay(); mounted != nullptr && copies_mounts_) return mounted;
  ASSIGN_OR_RETURN(const std::vector<LayerHold> layers, LayersOf(container));
  const std::string directory = Directory(definition.id);
  if (definition.auto_remove) ForgetVolatileMount(directory);
  ASSIGN_OR_RETURN(UniqueFd upper, OpenDirectory(absl::StrCat(directory, "/upper")));
  ASSIGN_OR_RETURN(UniqueFd work, OpenDirectory(absl::StrCat(directory, "/work")));
  OverlayRequest request;
  for (const LayerHold& layer : layers) request.lower_fds.push_back(layer.mount_fd());
  ASSIGN_OR_RETURN(const std::shared_ptr<const UniqueFd> skeleton,
                   SkeletonOf(definition.layer_diff_ids, layers));
  request.lower_fds.push_back(skeleton->get());
  std::vector<Mount> mapped;
  if (definition.first_uid != 0) {
    // What is on disk keeps its ids, whoever runs on it.
    for (int& lower : request.lower_fds) {
      ASSIGN_OR_RETURN(Mount layer, MappedTree(lower, "", settings_.remap->containers));
      lower = layer.fd();
      mapped.push_back(std::move(layer));
    }
    ASSIGN_OR_RETURN(Mount own, MappedTree(AT_FDCWD, directory, settings_.remap->upper));
    upper = UniqueFd(openat(own.fd(), "upper", O_PATH | O_DIRECTORY | O_CLOEXEC));
    work = UniqueFd(openat(own.fd(), "work", O_PATH | O_DIRECTORY | O_CLOEXEC));
    mapped.push_back(std::move(own));
  }
  request.upper_fd = upper.get();
  request.work_fd = work.get();
  request.skip_sync = skip_sync;
  request.stage = settings_.root + "/stage";
  ASSIGN_OR_RETURN(Mount root, MountOverlay(request));
  auto overlay = std::make_shared<const UniqueFd>(root.Release());
  container.SetOverlay(overlay);
  return overlay;
}

absl::StatusOr<UniqueFd> Runtime::CopyOverlay(const UniqueFd& overlay) {
  if (auto copy = CloneTree(overlay.get(), "", false); copy.ok()) return copy->Release();
  copies_mounts_ = false;
  UniqueFd same(fcntl(overlay.get(), F_DUPFD_CLOEXEC, 3));
  if (!same.ok()) return ErrnoStatus(errno, "duplicate the root's mount");
  return same;
}

absl::StatusOr<UniqueFd> Runtime::MountImage(Container& container) {
  ASSIGN_OR_RETURN(const std::vector<LayerHold> layers, LayersOf(container));
  OverlayRequest request;
  for (const LayerHold& layer : layers) request.lower_fds.push_back(layer.mount_fd());
  ASSIGN_OR_RETURN(const std::shared_ptr<const UniqueFd> skeleton,
                   SkeletonOf(container.definition().layer_diff_ids, layers));
  request.lower_fds.push_back(skeleton->get());
  request.stage = settings_.root + "/stage";
  ASSIGN_OR_RETURN(Mount image, MountOverlay(request));
  return image.Release();
}

}  // namespace slipway::agent
