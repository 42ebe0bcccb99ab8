#include "image-service/layer/layer_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kCompareBytes = 512 << 10;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::StatusOr<std::string> CreateHidden(const std::string& directory, UniqueFd* fd) {
  std::string path = absl::StrCat(directory, "/.layer-XXXXXX");
  fd->reset(mkostemp(path.data(), O_CLOEXEC));
  if (!fd->ok()) return ErrnoStatus(errno, absl::StrCat("create a layer file in ", directory));
  if (fchmod(fd->get(), 0644) != 0) {
    const int error = errno;
    unlink(path.c_str());
    return ErrnoStatus(error, absl::StrCat("set the mode of ", path));
  }
  return path;
}

}  // namespace

LayerFile::LayerFile(UniqueFd fd, std::string directory, std::string temporary_path)
    : fd_(std::move(fd)),
      direct_(fd_.get()),
      directory_(std::move(directory)),
      temporary_path_(std::move(temporary_path)) {}

LayerFile::LayerFile(LayerFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      direct_(std::move(other.direct_)),
      directory_(std::move(other.directory_)),
      temporary_path_(std::exchange(other.temporary_path_, std::string())) {}

LayerFile::~LayerFile() {
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

absl::StatusOr<LayerFile> LayerFile::Create(const std::string& directory) {
  absl::StatusOr<UniqueFd> fd = OpenFile(directory, O_TMPFILE | O_RDWR, 0644);
  if (fd.ok()) {
    // The umask does not get a say: the agent's mount reads the file as another user.
    if (fchmod(fd->get(), 0644) != 0) {
      return ErrnoStatus(errno, absl::StrCat("set the mode of a layer file in ", directory));
    }
    return LayerFile(*std::move(fd), directory, "");
  }
  // Both EOPNOTSUPP and EISDIR mean "no O_TMPFILE here"; a real problem shows up again below.
  UniqueFd named;
  ASSIGN_OR_RETURN(std::string path, CreateHidden(directory, &named));
  return LayerFile(std::move(named), directory, std::move(path));
}

absl::Status LayerFile::WriteAt(uint64_t offset, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("write a layer file in ", directory_));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status LayerFile::WriteDirectAt(uint64_t offset, absl::string_view bytes) {
  return direct_.WriteAt(offset, bytes, absl::StrCat("write a layer file in ", directory_));
}

absl::Status LayerFile::Truncate(uint64_t size_bytes) {
  if (ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("set the size of a layer file in ", directory_, " to ",
                                           size_bytes, " bytes"));
  }
  return absl::OkStatus();
}

void LayerFile::StartWriteback(uint64_t offset, uint64_t size_bytes) {
  // Only a hint: an error that matters comes back from Sync.
  (void)sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size_bytes),
                        SYNC_FILE_RANGE_WRITE);
}

absl::StatusOr<bool> LayerFile::SameAs(const std::string& path) const {
  const auto other = OpenFile(path, O_RDONLY);
  if (!other.ok()) return false;
  const auto mine = std::make_unique<char[]>(kCompareBytes);
  const auto theirs = std::make_unique<char[]>(kCompareBytes);
  for (off_t offset = 0;; offset += static_cast<off_t>(kCompareBytes)) {
    const ssize_t n = pread(fd_.get(), mine.get(), kCompareBytes, offset);
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read a layer file in ", directory_));
    // A file whose disk gives it up no more differs too.
    const ssize_t m = pread(other->get(), theirs.get(), kCompareBytes, offset);
    if (m < n || memcmp(mine.get(), theirs.get(), static_cast<size_t>(n)) != 0) return false;
    if (n < static_cast<ssize_t>(kCompareBytes)) return true;
  }
}

absl::Status LayerFile::Sync() {
  if (fdatasync(fd_.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("sync a layer file in ", directory_));
  }
  return absl::OkStatus();
}

absl::Status LayerFile::Commit(const std::string& path) {
  if (temporary_path_.empty()) {
    const std::string source = absl::StrCat("/proc/self/fd/", fd_.get());
    int linked = linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
    if (linked != 0 && errno == EEXIST) {
      // linkat cannot replace, rename can: a hidden name first.
      static std::atomic<uint64_t> counter{0};
      std::string hidden;
      do {  // a process killed between link and rename may have left the name
        hidden = absl::StrCat(ParentOf(path), "/.layer-", getpid(), "-", counter.fetch_add(1));
        linked = linkat(AT_FDCWD, source.c_str(), AT_FDCWD, hidden.c_str(), AT_SYMLINK_FOLLOW);
      } while (linked != 0 && errno == EEXIST);
      if (linked == 0) temporary_path_ = hidden;
    }
    if (linked != 0) return ErrnoStatus(errno, absl::StrCat("link layer file ", path));
  }
  if (!temporary_path_.empty()) {
    if (rename(temporary_path_.c_str(), path.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("rename a layer file to ", path));
    }
    temporary_path_.clear();
  }
  const std::string parent = ParentOf(path);
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenFile(parent, O_RDONLY | O_DIRECTORY));
  if (fsync(directory.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("sync directory ", parent));
  }
  return absl::OkStatus();
}

}  // namespace slipway::image
