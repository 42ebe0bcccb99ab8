#include "runtime-agent/domain/confined_process.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/random.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {

absl::StatusOr<UniqueFd> MountProgram(const std::string& path) {
  ASSIGN_OR_RETURN(Mount mount, CloneTree(AT_FDCWD, path, false));
  RETURN_IF_ERROR(SetMountAttributes(
      mount.fd(), "", {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV}, false));
  return mount.Release();
}

absl::StatusOr<UniqueFd> EmptyRoot() {
  ASSIGN_OR_RETURN(FileSystemContext context, FileSystemContext::Open("tmpfs"));
  RETURN_IF_ERROR(context.SetString("mode", "0755"));
  ASSIGN_OR_RETURN(Mount mount,
                   context.CreateMount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  return mount.Release();
}

absl::StatusOr<std::string> NewEntryId(absl::string_view prefix) {
  char bytes[16];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
    return absl::InternalError("no random bytes");
  }
  return absl::StrCat(prefix, absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes))));
}

}  // namespace slipway::agent
