#include "runtime-agent/domain/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxSkeletons = 1024;

absl::Status MakeDirectoryAt(int parent, const char* name, const struct stat* like) {
  if (mkdirat(parent, name, 0755) != 0) return ErrnoStatus(errno, absl::StrCat("mkdir ", name));
  if (like == nullptr) return absl::OkStatus();
  // It hides the image's own in the merged view.
  if (fchownat(parent, name, like->st_uid, like->st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(parent, name, like->st_mode & 07777, 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("set the owner and mode of ", name));
  }
  return absl::OkStatus();
}

// Files of /etc that are bound over. An /etc that is no directory is the start's business.
absl::Status AddFiles(int skeleton, int view) {
  static constexpr const char* kFiles[] = {"hosts", "hostname", "resolv.conf"};
  struct stat etc;
  const bool has_etc = fstatat(view, "etc", &etc, AT_SYMLINK_NOFOLLOW) == 0;
  if (has_etc && !S_ISDIR(etc.st_mode)) return absl::OkStatus();
  UniqueFd directory;
  for (const char* name : kFiles) {
    struct stat info;
    const std::string path = absl::StrCat("etc/", name);
    if (fstatat(view, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) continue;
    if (!directory.ok()) {
      RETURN_IF_ERROR(MakeDirectoryAt(skeleton, "etc", has_etc ? &etc : nullptr));
      directory =
          UniqueFd(openat(skeleton, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!directory.ok()) return ErrnoStatus(errno, "open a skeleton's etc");
    }
    const UniqueFd file(
        openat(directory.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("create ", path));
  }
  return absl::OkStatus();
}

absl::Status Fill(int skeleton, int view) {
  for (const char* name : {"proc", "dev", "sys"}) {
    struct stat info;
    if (fstatat(view, name, &info, AT_SYMLINK_NOFOLLOW) == 0) continue;
    RETURN_IF_ERROR(MakeDirectoryAt(skeleton, name, nullptr));
  }
  return AddFiles(skeleton, view);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Skeletons>> Skeletons::Create(const std::string& stage) {
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open("tmpfs"));
  RETURN_IF_ERROR(context.SetString("mode", "0755"));
  ASSIGN_OR_RETURN(Mount mount, context.CreateMount(0));
  ASSIGN_OR_RETURN(StagedMount staged, StagedMount::Make(mount.fd(), stage));
  return std::unique_ptr<Skeletons>(new Skeletons(mount.Release(), std::move(staged)));
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> Skeletons::Find(const std::string& key) const {
  absl::MutexLock lock(&mutex_);
  const auto found = made_.find(key);
  if (found == made_.end()) return absl::NotFoundError("no skeleton yet");
  return found->second;
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> Skeletons::Make(const std::string& key,
                                                                int view_fd) {
  std::string name;
  {
    absl::MutexLock lock(&mutex_);
    // Those in use live on; a few kilobytes each stay behind until the agent ends.
    if (made_.size() >= kMaxSkeletons) made_.clear();
    name = absl::StrCat(++next_);
  }
  RETURN_IF_ERROR(MakeDirectoryAt(root_.get(), name.c_str(), nullptr));
  UniqueFd directory(
      openat(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.ok()) return ErrnoStatus(errno, "open a skeleton");
  RETURN_IF_ERROR(Fill(directory.get(), view_fd));
  auto made = std::make_shared<const UniqueFd>(std::move(directory));
  absl::MutexLock lock(&mutex_);
  return made_.emplace(key, std::move(made)).first->second;
}

}  // namespace slipway::agent
