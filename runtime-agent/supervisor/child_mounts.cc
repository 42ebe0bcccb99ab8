#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr uint64_t kInside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
constexpr long kProcMagic = 0x9fa0;
constexpr unsigned kCopy = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
constexpr unsigned kPlace = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

// Closes at the end of a scope and keeps errno.
struct ScopedFd {
  int fd;
  ~ScopedFd() {
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
  }
};

const char* LeafOf(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

// The directory that holds the last component of `path`, made if missing; `*leaf` points at it.
int OpenParent(Child* child, const char* path, const char** leaf) {
  char parent[PATH_MAX];
  const char* slash = strrchr(path, '/');
  size_t length = slash == nullptr ? 0 : static_cast<size_t>(slash - path);
  if (length >= sizeof(parent) || slash == nullptr || slash[1] == '\0') {
    errno = EINVAL;
    return -1;
  }
  *leaf = slash + 1;
  memcpy(parent, path, length);
  parent[length] = '\0';
  return OpenTarget(child, length == 0 ? "/" : parent, false);
}

// An empty file or a directory.
int MakeEntry(int parent, const char* name, bool file) {
  if (!file) return mkdirat(parent, name, 0755);
  ScopedFd made = {openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755)};
  return made.fd < 0 ? -1 : 0;
}

// Where only the last component is missing, which is the common case. ENOENT: more is.
int MakeLast(Child* child, const char* path, bool file) {
  const char* name = strrchr(path, '/');
  if (name == nullptr || name[1] == '\0' || strcmp(name + 1, "..") == 0) {
    errno = ENOENT;
    return -1;
  }
  char parent[PATH_MAX];
  size_t length = static_cast<size_t>(name - path);
  memcpy(parent, path, length);
  parent[length] = '\0';
  ScopedFd holder = {OpenInside(child, length == 0 ? "/" : parent, O_PATH)};
  if (holder.fd < 0) return -1;
  if (MakeEntry(holder.fd, name + 1, file) != 0) return -1;
  return OpenInside(child, path, O_PATH);
}

// What `path` is, where it is there; else it is made.
int FindOrMake(Child* child, const char* path, bool file) {
  int found = OpenInside(child, path, O_PATH);
  if (found >= 0 || errno != ENOENT) return found;
  char prefix[PATH_MAX];
  size_t length = strlen(path);
  if (length >= sizeof(prefix)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  found = MakeLast(child, path, file);
  if (found >= 0 || errno != ENOENT) return found;
  int parent = OpenInside(child, "/", O_PATH);
  size_t at = 0;
  while (parent >= 0 && at < length) {
    while (path[at] == '/') ++at;
    size_t start = at;
    while (at < length && path[at] != '/') ++at;
    if (start == at) break;
    memcpy(prefix, path, at);
    prefix[at] = '\0';
    ScopedFd holder = {parent};
    parent = OpenInside(child, prefix, O_PATH);
    if (parent >= 0 || errno != ENOENT) continue;
    const char* name = prefix + start;
    if (strcmp(name, "..") == 0) return -1;
    bool last = path[at + strspn(path + at, "/")] == '\0';
    if (MakeEntry(holder.fd, name, last && file) != 0) return -1;
    parent = OpenInside(child, prefix, O_PATH);
  }
  return parent;
}

// Where a link points that leads to nothing. False: there is none, or it has too long a target.
bool FollowLink(Child* child, const char* path, char (*followed)[PATH_MAX]) {
  char pointed[PATH_MAX];
  ScopedFd link = {OpenInside(child, path, O_PATH | O_NOFOLLOW)};
  ssize_t size = link.fd < 0 ? -1 : readlinkat(link.fd, "", pointed, sizeof(pointed));
  if (size <= 0) return false;
  size_t length = static_cast<size_t>(size);
  size_t start = pointed[0] == '/' ? 0 : static_cast<size_t>(LeafOf(path) - path);
  if (start + length >= sizeof(*followed)) return false;
  // `path` may be what was followed before: its directory stays where it is.
  memmove(*followed, path, start);
  memcpy(*followed + start, pointed, length);
  (*followed)[start + length] = '\0';
  return true;
}

int SetAttributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive) {
  propagation &= ~uint64_t{MS_REC};
  if (set == 0 && clear == 0 && propagation == 0) return 0;
  mount_attr attributes = {set, clear, propagation, 0};
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes,
                       sizeof(attributes));
}

// move_mount says EINVAL of a directory on a file and of a file on a directory.
int PlaceTree(int tree, int target) {
  if (move_mount(tree, "", target, "", kPlace) == 0) return 0;
  int error = errno;
  struct stat from;
  struct stat to;
  if (error == EINVAL && fstat(tree, &from) == 0 && fstat(target, &to) == 0 &&
      S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode)) {
    error = ENOTDIR;
  }
  errno = error;
  return -1;
}

// A link in the image must not lead a mount into /proc; what may go there has its path.
bool LedIntoProc(int target, const char* path) {
  struct statfs filesystem;
  if (strncmp(path, "/proc/", 6) == 0) return false;
  if (fstatfs(target, &filesystem) == 0 && filesystem.f_type != kProcMagic) return false;
  errno = EPERM;
  return true;
}

// mount(2) on "." or a name in the working directory, which no link can lead elsewhere. Read-only
// comes later, and on the mount alone: some file systems share their superblock with the host.
int MountOn(const Child& child, const PlanStepRecord& step, const char* target) {
  const PlanView& plan = child.plan;
  const char* data = plan.text(step, 2);
  return mount(plan.text(step, 3), target, plan.text(step, 0), step.a & ~uint64_t{MS_RDONLY},
               data[0] == '\0' ? nullptr : data);
}

// In the working directory, a file system that only this plan fills.
int MountHere(const Child& child, const PlanStepRecord& step) {
  const char* name = LeafOf(child.plan.text(step, 1));
  if (mkdirat(AT_FDCWD, name, 0755) != 0 || MountOn(child, step, name) != 0) return -1;
  mount_attr attributes = {(step.a & MS_RDONLY) != 0 ? MOUNT_ATTR_RDONLY : 0u, 0,
                           step.c & ~uint64_t{MS_REC}, 0};
  if (attributes.attr_set == 0 && attributes.propagation == 0) return 0;
  return mount_setattr(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, &attributes, sizeof(attributes));
}

// The directory of the step's path, which may be the working directory (AT_FDCWD); -1 with errno.
int OpenEntry(Child* child, const PlanStepRecord& step, const char** leaf) {
  const char* path = child->plan.text(step, 1);
  if ((step.flags & kPlanHere) == 0) return OpenParent(child, path, leaf);
  *leaf = LeafOf(path);
  return AT_FDCWD;
}

// An empty file system that nothing can be written to; one for all masked directories of a
// container, where the kernel lets a mount be copied (it does unless it is locked).
int MaskDirectory(Child* child, int target) {
  if (child->mask >= 0) {
    ScopedFd tree = {open_tree(child->mask, "", kCopy)};
    if (tree.fd >= 0) return move_mount(tree.fd, "", target, "", kPlace);
  }
  if (fchdir(target) != 0) return -1;
  int result = mount("tmpfs", ".", "tmpfs", MS_RDONLY, "size=0,nr_inodes=1,mode=555");
  int error = errno;
  if (chdir("/") != 0) return -1;
  errno = error;
  return result;
}

}  // namespace

int OpenInside(Child* child, const char* path, uint64_t flags) {
  if (child->root < 0) {
    child->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (child->root < 0) return -1;
  }
  return OpenAt2(child->root, path, flags | O_CLOEXEC, 0, kInside);
}

int OpenTarget(Child* child, const char* path, bool file) {
  // As under runc, what a link of the image or of a volume points to is made if it is missing.
  constexpr int kMaxLinks = 8;
  char followed[PATH_MAX];
  for (int links = 0;; ++links) {
    int found = FindOrMake(child, path, file);
    if (found >= 0 || errno != EEXIST || links == kMaxLinks) return found;
    // What is no link another container has made in a shared volume meanwhile: it is found now.
    if (FollowLink(child, path, &followed)) path = followed;
  }
}

int SetPropagation(uint64_t flags) { return mount(nullptr, "/", nullptr, flags, nullptr); }

int ChangeRoot(Child* child, const PlanStepRecord& step) {
  int root = child->fd[step.fd];
  const bool blank = child->staging == nullptr;
  const char* place = blank ? "/" : child->staging;
  if (move_mount(root, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0) return -1;
  if (fchdir(root) != 0) return -1;
  if (blank) {
    // Below it is nothing that would have to go.
    if (chroot(".") != 0) return -1;
  } else if (PivotRoot(".", ".") != 0 || umount2(".", MNT_DETACH) != 0) {
    return -1;
  }
  return chdir("/");
}

int MountFilesystem(Child* child, const PlanStepRecord& step) {
  const PlanView& plan = child->plan;
  if ((step.flags & kPlanHere) != 0) return MountHere(*child, step);
  struct stat covered;
  bool was_there = false;
  if ((step.flags & kPlanKeepMode) != 0 && strstr(plan.text(step, 2), "mode=") == nullptr) {
    ScopedFd before = {OpenInside(child, plan.text(step, 1), O_PATH)};
    was_there = before.fd >= 0 && fstat(before.fd, &covered) == 0;
  }
  ScopedFd target = {OpenTarget(child, plan.text(step, 1), false)};
  if (target.fd < 0 || LedIntoProc(target.fd, plan.text(step, 1))) return -1;
  if (fchdir(target.fd) != 0) return -1;
  int result = MountOn(*child, step, ".");
  int error = errno;
  if (chdir("/") != 0) return -1;
  errno = error;
  if (result != 0) return -1;
  if ((step.flags & kPlanCopyUp) != 0) {
    ScopedFd from = {OpenAt2(target.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0)};
    ScopedFd to = {OpenInside(child, plan.text(step, 1), O_RDONLY | O_DIRECTORY)};
    if (from.fd < 0 || to.fd < 0 || CopyTree(from.fd, to.fd, 0) != 0) return -1;
  }
  if (was_there) {
    ScopedFd root = {OpenInside(child, plan.text(step, 1), O_RDONLY | O_DIRECTORY)};
    if (root.fd < 0 || fchmod(root.fd, covered.st_mode & 07777) != 0) return -1;
  }
  uint64_t read_only = (step.a & MS_RDONLY) != 0 ? MOUNT_ATTR_RDONLY : 0;
  bool enter = (step.flags & kPlanEnter) != 0;
  if (read_only == 0 && step.c == 0 && !enter) return 0;
  ScopedFd mounted = {OpenInside(child, plan.text(step, 1), O_PATH)};
  if (mounted.fd < 0 || (enter && fchdir(mounted.fd) != 0)) return -1;
  return SetAttributes(mounted.fd, read_only, 0, step.c, false);
}

int BindTree(Child* child, const PlanStepRecord& step) {
  ScopedFd target = {OpenTarget(child, child->plan.text(step, 1), (step.flags & kPlanFile) != 0)};
  if (target.fd < 0 || LedIntoProc(target.fd, child->plan.text(step, 1))) return -1;
  int tree = child->fd[step.fd];
  bool recursive = (step.flags & kPlanRecursive) != 0;
  // First the attributes: the mount never appears without them.
  if (SetAttributes(tree, step.a, step.b, 0, recursive) != 0) return -1;
  if (PlaceTree(tree, target.fd) != 0) return -1;
  // Nothing that is mounted inside shows on the host, unless that was asked for.
  if (step.c != 0 && (step.c & MS_SHARED) == 0 && SetAttributes(tree, 0, 0, MS_SLAVE, true) != 0) {
    return -1;
  }
  return SetAttributes(tree, 0, 0, step.c, (step.c & MS_REC) != 0);
}

int MakeDevice(Child* child, const PlanStepRecord& step) {
  const char* leaf;
  ScopedFd parent = {OpenEntry(child, step, &leaf)};
  if (parent.fd == -1) return -1;
  auto mode = static_cast<mode_t>(step.a);
  auto device = static_cast<dev_t>(step.b);
  if (mknodat(parent.fd, leaf, mode, device) != 0) {
    struct stat info;
    if (errno != EEXIST || fstatat(parent.fd, leaf, &info, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    errno = EEXIST;
    return (info.st_mode & S_IFMT) == (mode & S_IFMT) && info.st_rdev == device ? 0 : -1;
  }
  auto uid = static_cast<uid_t>(step.c >> 32);
  auto gid = static_cast<gid_t>(step.c);
  if (uid == 0 && gid == 0) return 0;
  return fchownat(parent.fd, leaf, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int MakeSymlink(Child* child, const PlanStepRecord& step) {
  const char* leaf;
  ScopedFd parent = {OpenEntry(child, step, &leaf)};
  if (parent.fd == -1) return -1;
  if (symlinkat(child->plan.text(step, 0), parent.fd, leaf) == 0 || errno == EEXIST) return 0;
  return -1;
}

int MakePath(Child* child, const char* path, uint32_t mode) {
  ScopedFd existing = {OpenInside(child, path, O_PATH)};
  if (existing.fd >= 0) {
    struct stat info;
    if (fstat(existing.fd, &info) != 0) return -1;
    errno = ENOTDIR;
    return S_ISDIR(info.st_mode) ? 0 : -1;
  }
  ScopedFd made = {OpenTarget(child, path, false)};
  if (made.fd < 0) return -1;
  if (mode == 0755) return 0;
  ScopedFd directory = {OpenInside(child, path, O_RDONLY | O_DIRECTORY)};
  return directory.fd < 0 ? -1 : fchmod(directory.fd, mode);
}

int ReadonlyPath(Child* child, const PlanStepRecord& step) {
  ScopedFd target = {OpenInside(child, child->plan.text(step, 1), O_PATH)};
  if (target.fd < 0) return errno == ENOENT ? 0 : -1;
  ScopedFd tree = {
      open_tree(target.fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE)};
  if (tree.fd < 0 || SetAttributes(tree.fd, MOUNT_ATTR_RDONLY, 0, 0, true) != 0) return -1;
  return move_mount(tree.fd, "", target.fd, "", kPlace);
}

int MaskPath(Child* child, const PlanStepRecord& step) {
  const char* path = child->plan.text(step, 1);
  ScopedFd target = {OpenInside(child, path, O_PATH)};
  if (target.fd < 0) return errno == ENOENT ? 0 : -1;
  struct stat info;
  if (fstat(target.fd, &info) != 0) return -1;
  if (S_ISDIR(info.st_mode)) {
    if (MaskDirectory(child, target.fd) != 0) return -1;
    if (child->mask < 0) child->mask = OpenInside(child, path, O_PATH);
    return 0;
  }
  if (child->device_null < 0) child->device_null = OpenInside(child, "/dev/null", O_PATH);
  if (child->device_null < 0 || fstat(child->device_null, &info) != 0) return -1;
  if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3)) {
    errno = EPERM;  // an image's file in the place of /dev/null would be shown, not hidden
    return -1;
  }
  ScopedFd tree = {open_tree(child->device_null, "", kCopy)};
  if (tree.fd < 0) return -1;
  return move_mount(tree.fd, "", target.fd, "", kPlace);
}

int ReadonlyRoot() {
  mount_attr attributes = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  return mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof(attributes));
}

int BindConsole(Child* child) {
  ScopedFd target = {OpenTarget(child, "/dev/console", true)};
  if (target.fd < 0) return -1;
  ScopedFd tree = {open_tree(child->terminal, "", kCopy)};
  if (tree.fd < 0) return -1;
  return move_mount(tree.fd, "", target.fd, "", kPlace);
}

int WriteSysctl(Child* child, const PlanStepRecord& step) {
  char path[512];
  const char* name = child->plan.text(step, 0);
  size_t length = strlen(name);
  static constexpr char kPrefix[] = "/proc/sys/";
  if (length + sizeof(kPrefix) > sizeof(path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(path, kPrefix, sizeof(kPrefix) - 1);
  memcpy(path + sizeof(kPrefix) - 1, name, length + 1);
  ScopedFd fd = {OpenInside(child, path, O_WRONLY)};
  struct statfs filesystem;
  if (fd.fd < 0 || fstatfs(fd.fd, &filesystem) != 0) return -1;
  if (filesystem.f_type != kProcMagic) {
    errno = ENOENT;
    return -1;
  }
  const char* value = child->plan.text(step, 1);
  return write(fd.fd, value, strlen(value)) < 0 ? -1 : 0;
}

int EnterDirectory(Child* child, const char* path) {
  // No magic links: a working directory of /proc/self/fd/n must not lead out.
  ScopedFd directory = {OpenInside(child, path, O_PATH | O_DIRECTORY)};
  return directory.fd < 0 ? -1 : fchdir(directory.fd);
}

}  // namespace slipway::agent
