#ifndef RUNTIME_AGENT_KERNEL_PROJECT_QUOTA_H_
#define RUNTIME_AGENT_KERNEL_PROJECT_QUOTA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Limits of directory trees (project quota) of ext4 and XFS: quotactl_fd(2), Linux 5.14, and
// FS_IOC_FSSETXATTR. Thread-safe.
namespace slipway::agent {

// Whether the file system of an open directory enforces such limits.
bool EnforcesProjectQuota(int directory);

// Gives an empty directory a project of its own with at most `bytes`. Returns the project.
absl::StatusOr<uint32_t> LimitDirectory(int directory, uint64_t bytes);

// Zero: none.
absl::StatusOr<uint32_t> ProjectOf(int directory);

// Bytes of all files of a project of the directory's file system.
absl::StatusOr<int64_t> ProjectUsage(int directory, uint32_t project);

// After the project's files are gone.
absl::Status LiftLimit(int directory, uint32_t project);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_KERNEL_PROJECT_QUOTA_H_
