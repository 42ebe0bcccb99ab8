#include "runtime-agent/kernel/mount.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/errno_status.h"

namespace slipway::agent {

absl::Status Mount::AttachAt(int dir_fd, const std::string& path) const {
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (path.empty() ? MOVE_MOUNT_T_EMPTY_PATH : 0);
  if (move_mount(fd_.get(), "", dir_fd, path.c_str(), flags) != 0) {
    return ErrnoStatus(errno, absl::StrCat("attach mount at '", path, "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileSystemContext> FileSystemContext::Open(const std::string& type) {
  UniqueFd fd(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("fsopen ", type));
  return FileSystemContext(std::move(fd), type);
}

absl::Status FileSystemContext::Error(int error, const std::string& what) const {
  std::string text = absl::StrCat(what, " of ", type_);
  // The kernel explains itself in messages like "e overlay: ...", one per read.
  char line[512];
  for (int i = 0; i < 8; ++i) {
    ssize_t n = read(fd_.get(), line, sizeof(line));
    if (n <= 0) break;
    absl::StrAppend(&text, " (",
                    absl::StripSuffix(absl::string_view(line, static_cast<size_t>(n)), "\n"), ")");
  }
  return ErrnoStatus(error, text);
}

absl::Status FileSystemContext::SetFlag(const char* key) {
  if (fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) == 0) return absl::OkStatus();
  return Error(errno, absl::StrCat("set option ", key));
}

absl::Status FileSystemContext::SetString(const char* key, const std::string& value) {
  if (fsconfig(fd_.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) {
    return absl::OkStatus();
  }
  return Error(errno, absl::StrCat("set option ", key, "=", value));
}

absl::Status FileSystemContext::SetFd(const char* key, int fd) {
  if (fsconfig(fd_.get(), FSCONFIG_SET_FD, key, nullptr, fd) == 0) return absl::OkStatus();
  const int error = errno;
  const absl::Status status = Error(error, absl::StrCat("set option ", key, " by descriptor"));
  return error == EOPNOTSUPP ? absl::UnimplementedError(status.message()) : status;
}

absl::StatusOr<Mount> FileSystemContext::CreateMount(uint64_t mount_attributes) {
  if (fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return Error(errno, "create superblock");
  }
  UniqueFd mount(fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(mount_attributes)));
  if (!mount.ok()) return Error(errno, "fsmount");
  return Mount(std::move(mount));
}

absl::StatusOr<Mount> CloneTree(int dir_fd, const std::string& path, bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) |
                   (path.empty() ? AT_EMPTY_PATH : 0);
  UniqueFd fd(open_tree(dir_fd, path.c_str(), flags));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open_tree '", path, "'"));
  return Mount(std::move(fd));
}

StagedMount::~StagedMount() {
  if (path_.empty()) return;
  umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  rmdir(path_.c_str());
}

absl::StatusOr<StagedMount> StagedMount::Make(int mount_fd, const std::string& directory) {
  // What an overlay does with its layers is to clone them.
  if (CloneTree(mount_fd, "", /*recursive=*/false).ok()) return StagedMount();
  std::string path = absl::StrCat(directory, "/slipway-mount-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("make a mount point in ", directory));
  }
  StagedMount staged(path);
  if (move_mount(mount_fd, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("attach mount at '", path, "'"));
  }
  return staged;
}

absl::Status SetMountAttributes(int dir_fd, const std::string& path, const MountAttributes& change,
                                bool recursive) {
  struct mount_attr attributes = {};
  attributes.attr_set = change.set;
  attributes.attr_clr = change.clear;
  attributes.propagation = change.propagation;
  if (change.user_namespace >= 0) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(change.user_namespace);
  }
  unsigned flags = (recursive ? AT_RECURSIVE : 0) | (path.empty() ? AT_EMPTY_PATH : 0);
  if (mount_setattr(dir_fd, path.c_str(), flags, &attributes, sizeof(attributes)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount_setattr '", path, "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MountNamespaceOf(int pidfd) {
  // <linux/pidfd.h> of the kernel; the C library's is older.
  constexpr unsigned long kGetMountNamespace = _IO(0xFF, 3);
  UniqueFd fd(ioctl(pidfd, kGetMountNamespace, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "the mount namespace of a process");
  fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

absl::Status Unmount(const std::string& path, int flags) {
  if (umount2(path.c_str(), flags) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("unmount ", path));
}

absl::StatusOr<UniqueFd> OpenBeneath(int dir_fd, const std::string& path, uint64_t flags,
                                     uint64_t mode, uint64_t resolve) {
  open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
  // RESOLVE_BENEATH and RESOLVE_IN_ROOT give EAGAIN when a rename raced with the walk.
  for (int attempt = 0; attempt < 16; ++attempt) {
    long fd = syscall(SYS_openat2, dir_fd, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return ErrnoStatus(errno, absl::StrCat("open '", path, "'"));
}

std::string DescriptorPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

}  // namespace slipway::agent
