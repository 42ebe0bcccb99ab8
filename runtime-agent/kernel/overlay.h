#ifndef RUNTIME_AGENT_KERNEL_OVERLAY_H_
#define RUNTIME_AGENT_KERNEL_OVERLAY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

// How the descriptors reach overlayfs. kAuto tries them in this order.
enum class OverlayInterface {
  kAuto,
  kDescriptors,  // FSCONFIG_SET_FD of lowerdir+, upperdir, workdir: Linux 6.13 on
  kAppendPaths,  // lowerdir+ with /proc/self/fd paths: Linux 6.5 on, of detached mounts 6.15
  kPaths,        // one lowerdir= string of /proc/self/fd paths: Linux 5.11 on (StagedMount)
};

// All descriptors stay the caller's and are needed only during the call.
struct OverlayRequest {
  // Roots of the layers' mounts, bottom first. None: the view starts empty.
  std::vector<int> lower_fds;
  // Directories of one file system, upper and work empty when new. Both -1: a read-only view.
  int upper_fd = -1;
  int work_fd = -1;
  // The mount is read-only although there is an upper directory.
  bool read_only = false;
  // overlayfs's "volatile": nothing written is synced, neither by fsync in the container nor at
  // unmount (which otherwise syncs the whole file system of the upper directory: 0.5 ms where that
  // is idle, long where it is busy). The mount itself becomes slower (2 ms instead of 0.2 ms, ext4,
  // Linux 6.18), so it pays only on a busy host, and only for containers that are removed when they
  // exit: a work directory so used cannot be mounted again until <work>/work/incompat is removed.
  bool skip_sync = false;
  // Where kPaths makes the directory that the mount is on for a moment.
  std::string stage = "/tmp";
  OverlayInterface interface = OverlayInterface::kAuto;
};

// A detached overlay mount, nosuid and nodev not set (images have set-uid programs; device nodes
// are the devices cgroup's and the capability set's business). Thread-safe. The options are fixed:
//   index=off, metacopy=off  the upper directory then holds whole files only, which diff, commit
//   and
//                            export read without knowing the lower layers
//   redirect_dir=nofollow    a redirect xattr smuggled in by an image leads nowhere; renaming a
//                            directory of a lower layer gives EXDEV, as with Docker
//   xino=auto                st_dev and st_ino are stable and unique where inode numbers leave room
//   no userxattr             we are root: whiteouts are 0/0 devices and trusted.overlay.* xattrs
absl::StatusOr<Mount> MountOverlay(const OverlayRequest& request);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_OVERLAY_H_
