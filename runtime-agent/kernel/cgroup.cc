#include "runtime-agent/kernel/cgroup.h"

#include <utility>

#include "absl/strings/match.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/cgroup_files.h"

namespace slipway::agent {

CgroupLease& CgroupLease::operator=(CgroupLease&& other) noexcept {
  if (this == &other) return *this;
  std::string old = std::exchange(name_, std::move(other.name_));
  CgroupDriver* old_driver = std::exchange(driver_, std::exchange(other.driver_, nullptr));
  join_ = std::move(other.join_);
  warnings_ = std::move(other.warnings_);
  // A group that cannot be removed now is found by ListGroups later.
  if (old_driver != nullptr) old_driver->Remove(old).IgnoreError();
  return *this;
}

CgroupLease::~CgroupLease() {
  join_ = {};
  if (driver_ != nullptr) driver_->Remove(name_).IgnoreError();
}

std::string CgroupLease::Release() {
  driver_ = nullptr;
  join_ = {};
  return std::move(name_);
}

absl::StatusOr<std::unique_ptr<CgroupDriver>> DetectCgroupDriver(const CgroupOptions& options) {
  ASSIGN_OR_RETURN(CgroupMounts mounts, FindCgroupMounts());
  if (!mounts.v2.empty()) {
    ASSIGN_OR_RETURN(std::string controllers, ReadFile(mounts.v2 + "/cgroup.controllers"));
    if (absl::StrContains(controllers, "memory") || absl::StrContains(controllers, "pids")) {
      return NewCgroupV2Driver(options);
    }
  }
  for (const CgroupMounts::V1& v1 : mounts.v1) {
    for (const std::string& controller : v1.controllers) {
      if (controller == "memory" || controller == "pids") return NewCgroupV1Driver(options);
    }
  }
  return absl::FailedPreconditionError(
      "no cgroup hierarchy with the memory or pids controller is mounted below /sys/fs/cgroup");
}

absl::StatusOr<CgroupStats> CgroupDriver::ReadStats(const std::string& name) {
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupStatsReader> reader, OpenStats(name));
  return reader->Read();
}

}  // namespace slipway::agent
