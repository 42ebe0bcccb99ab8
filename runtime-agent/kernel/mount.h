#ifndef RUNTIME_AGENT_KERNEL_MOUNT_H_
#define RUNTIME_AGENT_KERNEL_MOUNT_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

// The mount API of Linux 5.2 and later (fsopen(2), move_mount(2), mount_setattr(2), openat2(2)),
// each call wrapped once. Everything here is thread-safe; errors carry errno and what the kernel
// wrote to the context's message log.
namespace slipway::agent {

// A detached mount, held by a descriptor: nothing of it is in any mount table. It dissolves when
// the descriptor is closed, unless it was attached somewhere or something (an overlay) uses it as a
// layer. Move-only.
class Mount {
 public:
  Mount() = default;
  explicit Mount(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  bool ok() const { return fd_.ok(); }

  // Makes it visible at `path` (relative to `dir_fd`; an empty path means `dir_fd` itself). The
  // mount then belongs to the mount namespace of the caller; the descriptor stays usable.
  absl::Status AttachAt(int dir_fd, const std::string& path) const;

  // The descriptor, to be handed to another process. The object is empty afterwards.
  UniqueFd Release() { return std::move(fd_); }

 private:
  UniqueFd fd_;
};

// A file system being configured: fsopen, fsconfig, then Create and fsmount in one step.
// Move-only; use from one thread at a time.
class FileSystemContext {
 public:
  static absl::StatusOr<FileSystemContext> Open(const std::string& type);

  absl::Status SetFlag(const char* key);
  absl::Status SetString(const char* key, const std::string& value);
  // Unimplemented where the file system has not come to this interface (overlayfs before 6.5).
  absl::Status SetFd(const char* key, int fd);
  // `mount_attributes`: MOUNT_ATTR_*.
  absl::StatusOr<Mount> CreateMount(uint64_t mount_attributes);

 private:
  FileSystemContext(UniqueFd fd, std::string type) : fd_(std::move(fd)), type_(std::move(type)) {}
  absl::Status Error(int error, const std::string& what) const;

  UniqueFd fd_;
  std::string type_;
};

// A detached copy of what is mounted at (or the directory) `path`: open_tree(OPEN_TREE_CLONE).
absl::StatusOr<Mount> CloneTree(int dir_fd, const std::string& path, bool recursive);

// A detached mount, attached for as long as this lives: kernels before 6.15 take no other as a
// layer of an overlay. Move-only.
class StagedMount {
 public:
  StagedMount() = default;
  StagedMount(StagedMount&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  StagedMount& operator=(StagedMount&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~StagedMount();

  // In a new directory below `directory`; an empty object where the kernel needs none of that, or
  // the mount is attached. Once for each mount: when this is gone it can be attached no more.
  static absl::StatusOr<StagedMount> Make(int mount_fd, const std::string& directory);

 private:
  explicit StagedMount(std::string path) : path_(std::move(path)) {}

  std::string path_;  // empty: nothing
};

struct MountAttributes {
  uint64_t set = 0;          // MOUNT_ATTR_*
  uint64_t clear = 0;        // MOUNT_ATTR_*
  uint64_t propagation = 0;  // MS_PRIVATE and so on; 0 leaves it as it is
  int user_namespace = -1;   // makes it an idmapped mount, once, with the map of this one
};
absl::Status SetMountAttributes(int dir_fd, const std::string& path, const MountAttributes& change,
                                bool recursive);

// umount2(2). `flags`: MNT_DETACH, UMOUNT_NOFOLLOW.
absl::Status Unmount(const std::string& path, int flags);

// openat2(2). `flags` as open(2), O_CLOEXEC is added; `resolve`: RESOLVE_*.
absl::StatusOr<UniqueFd> OpenBeneath(int dir_fd, const std::string& path, uint64_t flags,
                                     uint64_t mode, uint64_t resolve);

// The mount namespace of a process (PIDFD_GET_MNT_NAMESPACE, Linux 6.11). While it is held, the end
// of the process does not take the namespace apart, which waits for the kernel's readers (RCU);
// closing it does.
absl::StatusOr<UniqueFd> MountNamespaceOf(int pidfd);

// "/proc/self/fd/<fd>": a path for interfaces that take no descriptor.
std::string DescriptorPath(int fd);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_MOUNT_H_
