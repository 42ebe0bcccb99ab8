#include "runtime-agent/kernel/loop_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr int kLoopAttempts = 64;
constexpr int kLoopMajor = 7;

absl::StatusOr<UniqueFd> OpenLoopDevice(int number, int flags) {
  std::string path = absl::StrCat("/dev/loop", number);
  absl::StatusOr<UniqueFd> device = OpenFile(path, flags);
  if (!absl::IsNotFound(device.status())) return device;
  // No devtmpfs: the node is ours to make.
  if (mknod(path.c_str(), S_IFBLK | 0600, makedev(kLoopMajor, number)) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("mknod ", path));
  }
  return OpenFile(path, flags);
}

}  // namespace

absl::StatusOr<LoopDevice> AttachLoopDevice(int file, const LoopOptions& options) {
  ASSIGN_OR_RETURN(UniqueFd control, OpenFile("/dev/loop-control", O_RDWR));
  loop_config config = {};
  config.fd = static_cast<uint32_t>(file);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  if (options.read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  if (options.direct_io) config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
  for (int attempt = 0; attempt < kLoopAttempts; ++attempt) {
    int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return ErrnoStatus(errno, "find a free loop device");
    ASSIGN_OR_RETURN(UniqueFd device,
                     OpenLoopDevice(number, options.read_only ? O_RDONLY : O_RDWR));
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      return LoopDevice{std::move(device), absl::StrCat("/dev/loop", number)};
    }
    if (errno == EINVAL && (config.info.lo_flags & LO_FLAGS_DIRECT_IO) != 0) {
      config.info.lo_flags &= ~LO_FLAGS_DIRECT_IO;
      continue;
    }
    // EBUSY: somebody took the device between the two calls.
    if (errno != EBUSY) return ErrnoStatus(errno, absl::StrCat("configure /dev/loop", number));
  }
  return absl::UnavailableError("attach loop device: every free one was taken by others");
}

absl::StatusOr<LoopDevice> FindLoopDevice(int file) {
  struct stat wanted;
  if (fstat(file, &wanted) != 0) return ErrnoStatus(errno, "stat a loop device's file");
  const std::unique_ptr<DIR, int (*)(DIR*)> devices(opendir("/sys/block"), closedir);
  if (devices == nullptr) return ErrnoStatus(errno, "read /sys/block");
  while (const dirent* entry = readdir(devices.get())) {
    const std::string name = entry->d_name;
    if (!absl::StartsWith(name, "loop")) continue;
    if (access(absl::StrCat("/sys/block/", name, "/loop").c_str(), F_OK) != 0) continue;
    std::string path = absl::StrCat("/dev/", name);
    absl::StatusOr<UniqueFd> device = OpenFile(path, O_RDWR);
    loop_info64 info = {};
    if (!device.ok() || ioctl(device->get(), LOOP_GET_STATUS64, &info) != 0) continue;
    if (info.lo_inode == wanted.st_ino && info.lo_device == wanted.st_dev) {
      return LoopDevice{*std::move(device), std::move(path)};
    }
  }
  return absl::NotFoundError("no loop device is over the file");
}

}  // namespace slipway::agent
