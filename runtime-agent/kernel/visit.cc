#include "runtime-agent/kernel/visit.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

absl::StatusOr<UniqueFd> CloneMountOf(int pid, const std::string& path, bool recursive) {
  absl::StatusOr<UniqueFd> result = absl::UnknownError("not run");
  std::thread visitor([&] {
    result = [&]() -> absl::StatusOr<UniqueFd> {
      ASSIGN_OR_RETURN(const UniqueFd ns,
                       OpenFile(absl::StrCat("/proc/", pid, "/ns/mnt"), O_RDONLY));
      if (unshare(CLONE_FS) != 0) return ErrnoStatus(errno, "unshare the file system state");
      if (setns(ns.get(), CLONE_NEWNS) != 0) return ErrnoStatus(errno, "enter a mount namespace");
      ASSIGN_OR_RETURN(Mount tree, CloneTree(AT_FDCWD, path, recursive));
      return tree.Release();
    }();
  });
  visitor.join();
  return result;
}

}  // namespace slipway::agent
