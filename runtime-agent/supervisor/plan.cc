#include "runtime-agent/supervisor/plan.h"

#include <string.h>

#include <initializer_list>

namespace slipway::agent {

namespace {

struct StepName {
  PlanStep step;
  const char* name;
};

constexpr StepName kStepNames[] = {
    {PlanStep::kJoinCgroup, "join cgroup"},
    {PlanStep::kOomScoreAdj, "set oom_score_adj"},
    {PlanStep::kJoinNamespace, "join namespace"},
    {PlanStep::kUnshare, "unshare"},
    {PlanStep::kSecondClone, "clone into pid namespace"},
    {PlanStep::kSessionKeyring, "join session keyring"},
    {PlanStep::kHostname, "set hostname"},
    {PlanStep::kDomainname, "set domainname"},
    {PlanStep::kLoopbackUp, "bring lo up"},
    {PlanStep::kFileOwner, "set owner of new files"},
    {PlanStep::kSetPropagation, "set mount propagation"},
    {PlanStep::kRoot, "change root"},
    {PlanStep::kMount, "mount"},
    {PlanStep::kBind, "bind mount"},
    {PlanStep::kDevice, "make device"},
    {PlanStep::kSymlink, "make symlink"},
    {PlanStep::kMakeDirectory, "make directory"},
    {PlanStep::kTty, "open terminal"},
    {PlanStep::kSysctl, "set sysctl"},
    {PlanStep::kWorkingDirectoryMake, "make working directory"},
    {PlanStep::kReadonlyPath, "make path read-only"},
    {PlanStep::kMaskPath, "mask path"},
    {PlanStep::kReadonlyRoot, "make root read-only"},
    {PlanStep::kRootPropagation, "set root propagation"},
    {PlanStep::kRlimit, "set rlimit"},
    {PlanStep::kUmask, "set umask"},
    {PlanStep::kHold, "wait for start"},
    {PlanStep::kHostStdioOwner, "give standard streams to user of the host"},
    {PlanStep::kUserNamespace, "join user namespace"},
    {PlanStep::kBoundingSet, "drop bounding capabilities"},
    {PlanStep::kStdioOwner, "give standard streams to user"},
    {PlanStep::kUser, "set user"},
    {PlanStep::kWorkingDirectory, "change working directory"},
    {PlanStep::kNoNewPrivileges, "set no_new_privs"},
    {PlanStep::kSeccomp, "install seccomp filter"},
    {PlanStep::kCapabilities, "set capabilities"},
    {PlanStep::kAmbient, "set ambient capabilities"},
    {PlanStep::kExec, "exec"},
    {PlanStep::kEnvironment, "environment"},
    {PlanStep::kReadPlan, "read plan"},
    {PlanStep::kMakeStdio, "make standard streams"},
    {PlanStep::kClone, "clone"},
    {PlanStep::kKeeper, "hand descriptors to keeper"},
    {PlanStep::kSync, "wait for process"},
    {PlanStep::kStdio, "place standard streams"},
};

bool NeedsFd(PlanStep step) {
  return step == PlanStep::kJoinCgroup || step == PlanStep::kJoinNamespace ||
         step == PlanStep::kRoot || step == PlanStep::kBind || step == PlanStep::kUserNamespace;
}

// How many NUL-terminated strings a blob holds.
uint64_t CountStrings(const char* blob, uint32_t size) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < size; ++i) count += blob[i] == '\0';
  return count;
}

}  // namespace

const char* PlanStepName(PlanStep step) {
  for (const StepName& entry : kStepNames) {
    if (entry.step == step) return entry.name;
  }
  return "unknown step";
}

bool PlanView::RefersToFd(int32_t fd) const {
  return fd >= 0 && static_cast<uint32_t>(fd) < header_->fd_count;
}

bool PlanView::StepIsValid(const PlanStepRecord& step) const {
  const auto kind = static_cast<PlanStep>(step.step);
  if (strcmp(PlanStepName(kind), "unknown step") == 0 || step.step >= 0xff00) return false;
  const bool may_have_fd = NeedsFd(kind) || kind == PlanStep::kExec;
  if (NeedsFd(kind) && !RefersToFd(step.fd)) return false;
  if (step.fd != -1 && !(may_have_fd && RefersToFd(step.fd))) return false;
  for (uint32_t offset : step.s) {
    if (offset >= header_->size_bytes) return false;  // the last byte is NUL: all terminate
  }
  if (step.blob > header_->size_bytes || step.blob_size > header_->size_bytes - step.blob) {
    return false;
  }
  switch (kind) {
    case PlanStep::kExec:
    case PlanStep::kEnvironment:
      if (step.blob_size > 0 && base_[step.blob + step.blob_size - 1] != '\0') return false;
      return step.a <= kMaxArguments && CountStrings(blob(step), step.blob_size) == step.a &&
             (kind == PlanStep::kEnvironment || step.a > 0);
    case PlanStep::kUser:
      return step.blob % 4 == 0 && step.blob_size % 4 == 0 && step.blob_size <= 65536 * 4;
    case PlanStep::kSeccomp:  // struct sock_filter is 8 bytes, BPF_MAXINSNS of them
      return step.blob % 8 == 0 && step.blob_size % 8 == 0 && step.blob_size <= 4096 * 8;
    default:
      return true;
  }
}

bool PlanView::Parse(const void* data, size_t size, uint32_t fd_count) {
  if (size < sizeof(PlanHeader) + 1 || size > UINT32_MAX) return false;
  base_ = static_cast<const char*>(data);
  header_ = reinterpret_cast<const PlanHeader*>(base_);
  if (header_->magic != kPlanMagic || header_->version != kPlanVersion) return false;
  if (header_->size_bytes != size || base_[size - 1] != '\0') return false;
  if (header_->step_count > kMaxPlanSteps) return false;
  if (header_->fd_count != fd_count || fd_count > kMaxPlanFds) return false;
  if (sizeof(PlanHeader) + uint64_t{header_->step_count} * sizeof(PlanStepRecord) >= size) {
    return false;
  }
  for (int32_t fd : {header_->cgroup_fd, header_->spool_fd, header_->stdio_fd[0],
                     header_->stdio_fd[1], header_->stdio_fd[2]}) {
    if (fd != -1 && !RefersToFd(fd)) return false;
  }
  steps_ = reinterpret_cast<const PlanStepRecord*>(base_ + sizeof(PlanHeader));
  uint16_t phase = 0;
  for (uint32_t i = 0; i < header_->step_count; ++i) {
    if (!StepIsValid(steps_[i]) || steps_[i].step >> 8 < phase) return false;
    phase = steps_[i].step >> 8;
  }
  return Find(PlanStep::kExec) != nullptr;
}

const PlanStepRecord* PlanView::Find(PlanStep step) const {
  for (uint32_t i = 0; i < header_->step_count; ++i) {
    if (steps_[i].step == static_cast<uint16_t>(step)) return &steps_[i];
  }
  return nullptr;
}

}  // namespace slipway::agent
