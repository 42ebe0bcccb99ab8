#include "runtime-agent/kernel/overlay.h"

#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Linux's OVL_MAX_STACK.
constexpr size_t kMaxLayers = 500;

struct FixedOption {
  const char* key;
  const char* value;
};
constexpr FixedOption kFixedOptions[] = {
    {"index", "off"}, {"metacopy", "off"}, {"redirect_dir", "nofollow"}, {"xino", "auto"}};

uint64_t Attributes(const OverlayRequest& request) {
  return request.read_only || request.upper_fd < 0 ? MOUNT_ATTR_RDONLY : 0;
}

absl::StatusOr<Mount> EmptyFileSystem() {
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open("tmpfs"));
  RETURN_IF_ERROR(context.SetString("size", "4k"));
  RETURN_IF_ERROR(context.SetString("mode", "0755"));
  return context.CreateMount(MOUNT_ATTR_RDONLY);
}

absl::Status SetDirectory(FileSystemContext& context, const char* key, int fd, bool by_descriptor) {
  return by_descriptor ? context.SetFd(key, fd) : context.SetString(key, DescriptorPath(fd));
}

// `lowers`: top first.
absl::StatusOr<Mount> MountByContext(const OverlayRequest& request, const std::vector<int>& lowers,
                                     bool by_descriptor) {
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open("overlay"));
  RETURN_IF_ERROR(context.SetString("source", "slipway"));
  for (int fd : lowers) RETURN_IF_ERROR(SetDirectory(context, "lowerdir+", fd, by_descriptor));
  if (request.upper_fd >= 0) {
    RETURN_IF_ERROR(SetDirectory(context, "upperdir", request.upper_fd, by_descriptor));
    RETURN_IF_ERROR(SetDirectory(context, "workdir", request.work_fd, by_descriptor));
    if (request.skip_sync) RETURN_IF_ERROR(context.SetFlag("volatile"));
  }
  for (const FixedOption& option : kFixedOptions) {
    RETURN_IF_ERROR(context.SetString(option.key, option.value));
  }
  return context.CreateMount(Attributes(request));
}

// fsconfig(2) takes 255 bytes a value, mount(2) a page of options, but only onto a path: the mount
// is made on a directory of its own, cloned, and taken away again.
absl::StatusOr<Mount> MountByPaths(const OverlayRequest& request, const std::vector<int>& lowers) {
  std::vector<StagedMount> staged;
  for (const int fd : lowers) {
    ASSIGN_OR_RETURN(staged.emplace_back(), StagedMount::Make(fd, request.stage));
  }
  std::string options =
      absl::StrCat("lowerdir=", absl::StrJoin(lowers, ":", [](std::string* out, int fd) {
                     absl::StrAppend(out, DescriptorPath(fd));
                   }));
  if (request.upper_fd >= 0) {
    absl::StrAppend(&options, ",upperdir=", DescriptorPath(request.upper_fd),
                    ",workdir=", DescriptorPath(request.work_fd),
                    request.skip_sync ? ",volatile" : "");
  }
  for (const FixedOption& option : kFixedOptions) {
    absl::StrAppend(&options, ",", option.key, "=", option.value);
  }
  if (options.size() >= 4096) {
    return absl::InvalidArgumentError(
        absl::StrCat("mount overlay: ", lowers.size(), " layers are too many for this kernel"));
  }
  std::string directory = absl::StrCat(request.stage, "/slipway-overlay-XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("make a mount point in ", request.stage));
  }
  absl::StatusOr<Mount> result = absl::UnknownError("");
  if (mount("slipway", directory.c_str(), "overlay", 0, options.c_str()) != 0) {
    result = ErrnoStatus(errno, absl::StrCat("mount overlay with ", options));
  } else {
    result = CloneTree(-1, directory, /*recursive=*/false);
    absl::Status undone = Unmount(directory, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (result.ok() && !undone.ok()) result = undone;
  }
  rmdir(directory.c_str());
  if (result.ok() && Attributes(request) != 0) {
    RETURN_IF_ERROR(SetMountAttributes(result->fd(), "", {.set = Attributes(request)}, false));
  }
  return result;
}

absl::Status Validate(const OverlayRequest& request) {
  if ((request.upper_fd < 0) != (request.work_fd < 0)) {
    return absl::InvalidArgumentError("mount overlay: upper and work directory go together");
  }
  if (request.lower_fds.size() > kMaxLayers - 2) {
    return absl::InvalidArgumentError(absl::StrCat("mount overlay: ", request.lower_fds.size(),
                                                   " layers, at most ", kMaxLayers - 2,
                                                   " can be stacked"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Mount> MountOverlay(const OverlayRequest& request) {
  RETURN_IF_ERROR(Validate(request));
  std::vector<int> lowers(request.lower_fds.rbegin(), request.lower_fds.rend());
  // overlayfs wants one lower layer, two where there is no upper one.
  std::vector<Mount> empty;
  while (lowers.size() < (request.upper_fd < 0 ? 2u : 1u)) {
    ASSIGN_OR_RETURN(Mount mount, EmptyFileSystem());
    lowers.push_back(mount.fd());
    empty.push_back(std::move(mount));
  }
  switch (request.interface) {
    case OverlayInterface::kDescriptors:
      return MountByContext(request, lowers, /*by_descriptor=*/true);
    case OverlayInterface::kAppendPaths:
      return MountByContext(request, lowers, /*by_descriptor=*/false);
    case OverlayInterface::kPaths:
      return MountByPaths(request, lowers);
    case OverlayInterface::kAuto:
      break;
  }
  absl::StatusOr<Mount> mount = MountByContext(request, lowers, /*by_descriptor=*/true);
  // Only "I do not know this option" sends us to the older interfaces; their errors would hide
  // others.
  const bool is_unknown =
      absl::IsInvalidArgument(mount.status()) || absl::IsUnimplemented(mount.status());
  if (mount.ok() || !is_unknown) return mount;
  absl::StatusOr<Mount> by_path = MountByContext(request, lowers, /*by_descriptor=*/false);
  if (by_path.ok()) return by_path;
  by_path = MountByPaths(request, lowers);
  // Of an old kernel the oldest interface has the better word.
  return by_path.ok() || absl::IsUnimplemented(mount.status()) ? std::move(by_path)
                                                               : std::move(mount);
}

}  // namespace slipway::agent
