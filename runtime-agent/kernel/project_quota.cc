#include "runtime-agent/kernel/project_quota.h"

#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"

namespace slipway::agent {
namespace {

constexpr int kAttempts = 64;
constexpr uint64_t kBlockBytes = 512;  // of fs_disk_quota
// quota(8)'s users are elsewhere: those of ours have the upper half of the numbers.
constexpr uint32_t kFirstProject = 1u << 30;
constexpr int kProjectQuota = 2;  // PRJQUOTA of linux/quota.h, which does not go with sys/quota.h

int QuotaCall(int directory, int command, uint32_t project, void* data) {
  return static_cast<int>(
      syscall(SYS_quotactl_fd, directory, QCMD(command, kProjectQuota), project, data));
}

absl::Status SetLimit(int directory, uint32_t project, uint64_t bytes) {
  fs_disk_quota limit = {};
  limit.d_version = FS_DQUOT_VERSION;
  limit.d_id = project;
  limit.d_flags = FS_PROJ_QUOTA;
  limit.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT;
  limit.d_blk_hardlimit = limit.d_blk_softlimit = bytes / kBlockBytes;
  if (QuotaCall(directory, Q_XSETQLIM, project, &limit) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("set the quota of project ", project));
}

}  // namespace

bool EnforcesProjectQuota(int directory) {
  fs_quota_statv state = {};
  state.qs_version = FS_QSTATV_VERSION1;
  if (QuotaCall(directory, Q_XGETQSTATV, 0, &state) != 0) return false;
  return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

absl::StatusOr<int64_t> ProjectUsage(int directory, uint32_t project) {
  fs_disk_quota usage = {};
  if (QuotaCall(directory, Q_XGETQUOTA, project, &usage) == 0) {
    return static_cast<int64_t>(usage.d_bcount * kBlockBytes);
  }
  if (errno == ENOENT || errno == ESRCH) return 0;
  return ErrnoStatus(errno, absl::StrCat("read the quota of project ", project));
}

absl::StatusOr<uint32_t> LimitDirectory(int directory, uint64_t bytes) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    uint32_t project = 0;
    if (getrandom(&project, sizeof(project), 0) != sizeof(project)) break;
    project = kFirstProject | (project & (kFirstProject - 1));
    const auto used = ProjectUsage(directory, project);
    if (!used.ok()) return used.status();
    if (*used != 0) continue;
    const absl::Status limited = SetLimit(directory, project, bytes);
    if (!limited.ok()) return limited;
    fsxattr attributes = {};
    if (ioctl(directory, FS_IOC_FSGETXATTR, &attributes) != 0) {
      return ErrnoStatus(errno, "read the project of a directory");
    }
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(directory, FS_IOC_FSSETXATTR, &attributes) != 0) {
      return ErrnoStatus(errno, "set the project of a directory");
    }
    return project;
  }
  return absl::ResourceExhaustedError("no free project for a quota");
}

absl::StatusOr<uint32_t> ProjectOf(int directory) {
  fsxattr attributes = {};
  if (ioctl(directory, FS_IOC_FSGETXATTR, &attributes) == 0) return attributes.fsx_projid;
  if (errno == ENOTTY || errno == EOPNOTSUPP) return 0;
  return ErrnoStatus(errno, "read the project of a directory");
}

absl::Status LiftLimit(int directory, uint32_t project) { return SetLimit(directory, project, 0); }

}  // namespace slipway::agent
