#include "image-service/layer/layer_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "image-service/layer/sha256.h"

namespace slipway::image {
namespace {

std::string DigestOf(int fd) {
  Sha256 hash;
  std::vector<char> buffer(64 << 10);
  ssize_t count;
  while ((count = read(fd, buffer.data(), buffer.size())) > 0) {
    hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(count)));
  }
  return count < 0 ? absl::StrCat("unreadable: ", ErrnoName(errno)) : hash.FinishDigest();
}

std::string XattrsOf(const std::string& path) {
  const ssize_t room = llistxattr(path.c_str(), nullptr, 0);
  if (room == 0) return "";
  std::vector<char> names(64 << 10);
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return absl::StrCat("unreadable: ", ErrnoName(errno));
  std::map<std::string, std::string> sorted;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    std::vector<char> value(64 << 10);
    const ssize_t count = lgetxattr(path.c_str(), name, value.data(), value.size());
    sorted[name] =
        count < 0 ? ErrnoName(errno).data() : std::string(value.data(), static_cast<size_t>(count));
  }
  std::string text;
  for (const auto& [name, value] : sorted) {
    absl::StrAppend(&text, " ", name, "=", absl::CHexEscape(value));
  }
  return text;
}

void Walk(int directory_fd, const std::string& prefix, Snapshot* snapshot) {
  const std::string base = absl::StrCat("/proc/self/fd/", directory_fd);
  const int copy = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(copy), closedir);
  while (const dirent* item = readdir(directory.get())) {
    const std::string name = item->d_name;
    if (name == ".." || (name == "." && !prefix.empty())) continue;
    struct stat info;
    const std::string shown = name == "." ? "." : prefix + name;
    if (fstatat(directory_fd, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      (*snapshot)[shown] = absl::StrCat("cannot be examined: ", ErrnoName(errno));
      continue;
    }
    std::string text =
        absl::StrFormat("mode %o owner %d:%d mtime %d.%09d links %d", info.st_mode, info.st_uid,
                        info.st_gid, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_nlink);
    absl::StrAppend(&text, " xattrs{", XattrsOf(base + "/" + name), "}");
    if (S_ISREG(info.st_mode)) {
      const UniqueFd fd(openat(directory_fd, item->d_name, O_RDONLY | O_CLOEXEC));
      absl::StrAppend(&text, " size ", info.st_size, " ", DigestOf(fd.get()));
    } else if (S_ISLNK(info.st_mode)) {
      std::string target(5000, '\0');
      const ssize_t size = readlinkat(directory_fd, item->d_name, target.data(), target.size());
      absl::StrAppend(&text, " size ", info.st_size, " -> ",
                      target.substr(0, size < 0 ? 0 : static_cast<size_t>(size)));
    } else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      absl::StrAppend(&text, " device ", major(info.st_rdev), ":", minor(info.st_rdev));
    }
    (*snapshot)[shown] = text;
    if (S_ISDIR(info.st_mode) && name != ".") {
      const UniqueFd child(openat(directory_fd, item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      Walk(child.get(), shown + "/", snapshot);
    }
  }
}

}  // namespace

ScratchDirectory::ScratchDirectory() : path_("/tmp/slipway-layer-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) abort();
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int ScratchDirectory::CountNames() const {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++count;
  return count;
}

int RunShell(const std::string& command) {
  const int status = system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

absl::StatusOr<LayerResult> ConvertLayer(absl::string_view blob, const std::string& path,
                                         LayerOptions options, size_t piece_bytes) {
  options.directory = std::filesystem::path(path).parent_path();
  options.sync = false;
  ASSIGN_OR_RETURN(const auto writer, LayerWriter::Create(options));
  for (; !blob.empty(); blob.remove_prefix(std::min(piece_bytes, blob.size()))) {
    RETURN_IF_ERROR(writer->Append(blob.substr(0, piece_bytes)));
  }
  ASSIGN_OR_RETURN(LayerResult result, writer->Finish());
  RETURN_IF_ERROR(writer->Commit(path));
  return result;
}

absl::StatusOr<LayerResult> ConvertFile(const std::string& blob_path, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string blob, ReadFile(blob_path, size_t{1} << 30));
  return ConvertLayer(blob, path, {}, 64 << 10);
}

absl::StatusOr<UniqueFd> MountLayer(const std::string& path) {
  const UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC)));
  if (!context.ok()) return ErrnoStatus(errno, "fsopen erofs");
  if (syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "source", path.c_str(), 0) != 0 ||
      syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("configure an EROFS mount of ", path));
  }
  UniqueFd mounted(
      static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY)));
  if (!mounted.ok()) return ErrnoStatus(errno, absl::StrCat("mount ", path));
  return mounted;
}

Snapshot TakeSnapshot(int directory_fd) {
  Snapshot snapshot;
  Walk(directory_fd, "", &snapshot);
  return snapshot;
}

}  // namespace slipway::image
