#include "runtime-agent/domain/user_database.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxGroups = 1024;  // far below NGROUPS_MAX, far above any image

using Fields = std::vector<absl::string_view>;

// Calls `visit` with the fields of each line that has at least `count`, until it returns false.
template <typename Visit>
void ForEachEntry(absl::string_view text, size_t count, Visit visit) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line[0] == '#' || line.size() > 64 << 10) continue;
    const Fields fields = absl::StrSplit(line, ':');
    if (fields.size() >= count && !visit(fields)) return;
  }
}

// A uid or gid. Docker takes at most 2^31 - 1.
std::optional<uint32_t> ParseId(absl::string_view text) {
  uint32_t id = 0;
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(text, &id) || id > 0x7fffffffu) return std::nullopt;
  return id;
}

bool IsNumber(absl::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

// A name wins over a number; a number that no entry has is a user without a name.
std::optional<PasswdEntry> FindUser(absl::string_view passwd, absl::string_view user) {
  std::optional<PasswdEntry> by_name;
  std::optional<PasswdEntry> by_uid;
  const std::optional<uint32_t> number = ParseId(user);
  ForEachEntry(passwd, 4, [&](const Fields& fields) {
    const auto uid = ParseId(fields[2]);
    const auto gid = ParseId(fields[3]);
    if (!uid.has_value() || !gid.has_value()) return true;
    const bool name_matches = fields[0] == user;
    if (!name_matches && (by_uid.has_value() || uid != number)) return true;
    PasswdEntry entry{std::string(fields[0]), *uid, *gid,
                      fields.size() > 5 ? std::string(fields[5]) : std::string()};
    (name_matches ? by_name : by_uid) = std::move(entry);
    return !name_matches;
  });
  return by_name.has_value() ? by_name : by_uid;
}

absl::StatusOr<uint32_t> FindGroup(absl::string_view group_file, absl::string_view group) {
  std::optional<uint32_t> found;
  ForEachEntry(group_file, 3, [&](const Fields& fields) {
    if (fields[0] == group) found = ParseId(fields[2]);
    return !found.has_value();
  });
  if (!found.has_value()) found = ParseId(group);
  if (!found.has_value() && IsNumber(group)) {
    return absl::InvalidArgumentError("uids and gids must be in range 0-2147483647");
  }
  if (!found.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unable to find group ", group, ": no matching entries in group file"));
  }
  return *found;
}

std::vector<uint32_t> GroupsOf(absl::string_view group_file, absl::string_view user_name) {
  std::vector<uint32_t> groups;
  ForEachEntry(group_file, 4, [&](const Fields& fields) {
    const auto gid = ParseId(fields[2]);
    if (!gid.has_value()) return true;
    for (absl::string_view member : absl::StrSplit(fields[3], ',')) {
      if (member == user_name) groups.push_back(*gid);
    }
    return groups.size() < kMaxGroups;
  });
  return groups;
}

absl::StatusOr<std::string> ReadInside(int root_fd, const std::string& path) {
  auto file = OpenBeneath(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
                          RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
  if (!file.ok()) {
    // A loop, a missing directory, a link to another mount: no file that can be trusted.
    return std::string();
  }
  struct stat info;
  if (fstat(file->get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISREG(info.st_mode)) return std::string();
  if (info.st_size > static_cast<off_t>(kMaxUserFileBytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " of the container is larger than ", kMaxUserFileBytes, " bytes"));
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = pread(file->get(), &text[have], text.size() - have, have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace

absl::StatusOr<ProcessUser> LookUpUser(const UserDatabase& database, absl::string_view user,
                                       const std::vector<std::string>& additional_groups) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(user, absl::MaxSplits(':', 1));
  const absl::string_view name = parts.first.empty() ? "0" : parts.first;
  ProcessUser result;
  const std::optional<PasswdEntry> entry = FindUser(database.passwd, name);
  if (entry.has_value()) {
    result.uid = entry->uid;
    result.gid = entry->gid;
    if (!entry->home.empty()) result.home = entry->home;
  } else if (const auto number = ParseId(name); number.has_value()) {
    result.uid = *number;
  } else if (IsNumber(name)) {
    return absl::InvalidArgumentError("uids and gids must be in range 0-2147483647");
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unable to find user ", name, ": no matching entries in passwd file"));
  }
  if (!parts.second.empty()) {
    ASSIGN_OR_RETURN(result.gid, FindGroup(database.group, parts.second));
  } else if (entry.has_value()) {
    result.groups = GroupsOf(database.group, entry->name);
  }
  // The primary group too, as Docker does since CVE-2022-36109: a process that drops it cannot
  // reach what is denied to it.
  std::erase(result.groups, result.gid);
  result.groups.insert(result.groups.begin(), result.gid);
  for (const std::string& group : additional_groups) {
    ASSIGN_OR_RETURN(const uint32_t gid, FindGroup(database.group, group));
    if (std::find(result.groups.begin(), result.groups.end(), gid) == result.groups.end()) {
      result.groups.push_back(gid);
    }
  }
  return result;
}

absl::StatusOr<UserDatabase> ReadUserDatabase(int root_fd) {
  UserDatabase database;
  ASSIGN_OR_RETURN(database.passwd, ReadInside(root_fd, "etc/passwd"));
  ASSIGN_OR_RETURN(database.group, ReadInside(root_fd, "etc/group"));
  return database;
}

}  // namespace slipway::agent
