#ifndef RUNTIME_AGENT_DOMAIN_USER_DATABASE_H_
#define RUNTIME_AGENT_DOMAIN_USER_DATABASE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/domain/definition.h"

// Users and groups by an image's own /etc/passwd and /etc/group (passwd(5), group(5)), never the
// host's and never by NSS. Thread-safe.
namespace slipway::agent {

// Longer files are refused, longer lines and entries past the limit are passed over.
inline constexpr size_t kMaxUserFileBytes = 4 << 20;

// The text of both files; empty where the image has none.
struct UserDatabase {
  std::string passwd;
  std::string group;
};

// `user` is "", "name", "uid", "name:group", "uid:gid" and so on; `additional_groups` are names or
// numbers. Supplementary groups are those that list the user (only when no group was named, as
// Docker does) and the additional ones. InvalidArgument in Docker's words: "unable to find user
// foo: no matching entries in passwd file".
absl::StatusOr<ProcessUser> LookUpUser(const UserDatabase& database, absl::string_view user,
                                       const std::vector<std::string>& additional_groups);

// Reads both files below a root directory, without leaving it and without crossing mounts. A file
// that is missing or not a regular file counts as empty.
absl::StatusOr<UserDatabase> ReadUserDatabase(int root_fd);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_USER_DATABASE_H_
