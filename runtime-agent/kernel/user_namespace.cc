#include "runtime-agent/kernel/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

absl::Status WriteMap(pid_t pid, const char* name, const std::string& map) {
  const std::string path = absl::StrCat("/proc/", pid, "/", name);
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY));
  if (write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size())) {
    return ErrnoStatus(errno, absl::StrCat("write '", map, "' to ", path));
  }
  return absl::OkStatus();
}

// A process holds the namespace until its maps are written and it is open.
absl::StatusOr<UniqueFd> MakeNamespace(const std::string& uids, const std::string& gids) {
  const auto pid =
      static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (pid < 0) return ErrnoStatus(errno, "make a user namespace");
  if (pid == 0) {
    for (;;) pause();
  }
  const absl::Cleanup end = [pid] {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  };
  RETURN_IF_ERROR(WriteMap(pid, "uid_map", uids));
  RETURN_IF_ERROR(WriteMap(pid, "gid_map", gids));
  return OpenFile(absl::StrCat("/proc/", pid, "/ns/user"), O_RDONLY);
}

struct Range {
  uint32_t first = 0;
  uint32_t count = 0;
};

// subuid(5): "name:first:count".
absl::StatusOr<Range> SubordinateIds(const char* path, const std::string& user) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    Range range;
    if (fields.size() == 3 && fields[0] == user && absl::SimpleAtoi(fields[1], &range.first) &&
        absl::SimpleAtoi(fields[2], &range.count)) {
      return range;
    }
  }
  return absl::NotFoundError(absl::StrCat("no ids for ", user, " in ", path));
}

}  // namespace

absl::StatusOr<UserRemap> MakeUserRemap(const std::string& text) {
  UserRemap remap;
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  if (absl::SimpleAtoi(parts.first, &remap.first_uid)) {
    remap.first_gid = remap.first_uid;
    if (!absl::SimpleAtoi(parts.second, &remap.count)) remap.count = 0;
  } else {
    const std::string user = text == "default" ? "dockremap" : text;
    ASSIGN_OR_RETURN(const Range uids, SubordinateIds("/etc/subuid", user));
    ASSIGN_OR_RETURN(const Range gids, SubordinateIds("/etc/subgid", user));
    remap.first_uid = uids.first;
    remap.first_gid = gids.first;
    remap.count = std::min(uids.count, gids.count);
  }
  const bool fits = remap.count <= 0x7fffffffu && remap.first_uid <= 0x7fffffffu &&
                    remap.first_gid <= 0x7fffffffu;
  if (remap.first_uid == 0 || remap.first_gid == 0 || remap.count == 0 || !fits) {
    return absl::InvalidArgumentError(absl::StrCat("no range of ids to remap to: ", text));
  }
  const auto map = [&remap](uint32_t first, absl::string_view more) {
    return absl::StrCat("0 ", first, " ", remap.count, more);
  };
  const std::string root = absl::StrCat("\n", remap.count, " 0 1");
  ASSIGN_OR_RETURN(remap.containers,
                   MakeNamespace(map(remap.first_uid, ""), map(remap.first_gid, "")));
  ASSIGN_OR_RETURN(remap.upper,
                   MakeNamespace(map(remap.first_uid, root), map(remap.first_gid, root)));
  return remap;
}

}  // namespace slipway::agent
