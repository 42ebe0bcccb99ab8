#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/oci/hooks.h"
#include "runtime-agent/oci/log.h"
#include "runtime-agent/oci/runtime.h"

namespace slipway::agent {
namespace {

constexpr int kKillPatienceMs = 10'000;

absl::Status WrongStatus(const OciRecord& record, OciStatus status, absl::string_view verb) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", verb, " container ", record.id, " that is ", OciStatusName(status)));
}

absl::StatusOr<OciConfig> ConfigOf(const OciDirectory& directory) {
  ASSIGN_OR_RETURN(const std::string text, directory.LoadConfig());
  return ParseOciConfig(text);
}

void Warn(const absl::Status& status) {
  if (!status.ok()) RuntimeLog("warning", status.message());
}

}  // namespace

absl::Status OciRuntime::Start(const std::string& id) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  const OciStatus status = directory.StatusOf(record);
  if (status != OciStatus::kCreated) return WrongStatus(record, status, "start");
  ASSIGN_OR_RETURN(const OciConfig config, ConfigOf(directory));
  ASSIGN_OR_RETURN(const UniqueFd process, directory.OpenProcess(record));
  RETURN_IF_ERROR(RunHooks(config.hooks.at("startContainer"), StateJson(record, status),
                           {process.get(), ForeignNamespaces(record.pid)}));
  ASSIGN_OR_RETURN(const UniqueFd held, directory.ConnectToHeld());
  RETURN_IF_ERROR(GoOn(held.get()));
  directory.RemoveSocket();
  // What runs cannot be taken back: a failed hook is a warning (runtime.md, Lifecycle).
  Warn(RunHooks(config.hooks.at("poststart"), StateJson(record, OciStatus::kRunning), {}));
  return absl::OkStatus();
}

absl::StatusOr<std::string> OciRuntime::State(const std::string& id) const {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  return StateJson(record, directory.StatusOf(record));
}

absl::Status OciRuntime::Kill(const std::string& id, int signal, bool all) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  if (all) {
    ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
    if (signal == SIGKILL) {
      const absl::Status killed = groups->Kill(record.cgroup_name);
      return absl::IsNotFound(killed) ? absl::OkStatus() : killed;
    }
    const auto pids = groups->ListProcesses(record.cgroup_name);
    if (!pids.ok()) return absl::OkStatus();  // no group, no process
    for (const pid_t pid : *pids) kill(pid, signal);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const UniqueFd process, directory.OpenProcess(record));
  if (syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0) {
    return absl::OkStatus();
  }
  if (errno == ESRCH) return absl::NotFoundError("container not running");
  return ErrnoStatus(errno, absl::StrCat("send signal ", signal, " to container ", id));
}

absl::Status OciRuntime::Delete(const std::string& id, bool force) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  const auto loaded = directory.Load();
  if (absl::IsNotFound(loaded.status()) && force) return directory.Remove();
  RETURN_IF_ERROR(loaded.status());
  const OciRecord& record = *loaded;
  const OciStatus status = directory.StatusOf(record);
  const bool running = status == OciStatus::kRunning || status == OciStatus::kPaused;
  if (running && !force) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot delete container ", id, " that is not stopped: ", OciStatusName(status)));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  if (const auto process = directory.OpenProcess(record); process.ok()) {
    syscall(SYS_pidfd_send_signal, process->get(), SIGKILL, nullptr, 0);
    groups->Thaw(record.cgroup_name).IgnoreError();
    pollfd polled = {process->get(), POLLIN, 0};
    if (poll(&polled, 1, kKillPatienceMs) != 1) {
      return absl::DeadlineExceededError(absl::StrCat("container ", id, " does not end"));
    }
  }
  groups->Kill(record.cgroup_name).IgnoreError();
  RETURN_IF_ERROR(groups->Remove(record.cgroup_name));
  if (const auto config = ConfigOf(directory); config.ok()) {
    Warn(RunHooks(config->hooks.at("poststop"), StateJson(record, OciStatus::kStopped), {}));
  }
  return directory.Remove();
}

absl::Status OciRuntime::Pause(const std::string& id) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(OciRecord record, directory.Load());
  const OciStatus status = directory.StatusOf(record);
  if (status != OciStatus::kRunning && status != OciStatus::kCreated) {
    return WrongStatus(record, status, "pause");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  RETURN_IF_ERROR(groups->Freeze(record.cgroup_name));
  record.paused = true;
  return directory.Save(record);
}

absl::Status OciRuntime::Resume(const std::string& id) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(OciRecord record, directory.Load());
  if (!record.paused) return WrongStatus(record, directory.StatusOf(record), "resume");
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  RETURN_IF_ERROR(groups->Thaw(record.cgroup_name));
  record.paused = false;
  return directory.Save(record);
}

absl::Status OciRuntime::Update(const std::string& id, const CgroupLimits& limits) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  return groups->ApplyLimits(record.cgroup_name, limits).status();
}

absl::StatusOr<std::vector<pid_t>> OciRuntime::Processes(const std::string& id) const {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  return groups->ListProcesses(record.cgroup_name);
}

absl::StatusOr<pid_t> OciRuntime::PidOf(const std::string& id) const {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  return record.pid;
}

std::vector<OciRuntime::Listed> OciRuntime::List() const {
  std::vector<Listed> listed;
  for (const std::string& id : ListOciContainers(root_)) {
    const auto directory = OciDirectory::At(root_, id);
    if (!directory.ok()) continue;
    const auto record = directory->Load();
    if (record.ok()) listed.push_back({*record, directory->StatusOf(*record)});
  }
  return listed;
}

}  // namespace slipway::agent
