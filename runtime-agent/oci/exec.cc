#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "runtime-agent/oci/bundle_plan.h"
#include "runtime-agent/oci/runtime.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxProcessBytes = 4 << 20;

// What the command line says on top of the container's own process.
absl::StatusOr<OciProcess> DescribeProcess(const OciConfig& config,
                                           const BundleExecOptions& options) {
  if (!options.process_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(options.process_file, kMaxProcessBytes));
    return ParseOciProcess(text);
  }
  if (options.arguments.empty()) return absl::InvalidArgumentError("there is nothing to run");
  OciProcess process = config.process;
  process.args = options.arguments;
  process.terminal = options.terminal;
  if (!options.cwd.empty()) process.cwd = options.cwd;
  process.env.insert(process.env.end(), options.env.begin(), options.env.end());
  if (options.user.empty()) return process;
  const std::pair<std::string, std::string> ids =
      absl::StrSplit(options.user, absl::MaxSplits(':', 1));
  if (!absl::SimpleAtoi(ids.first, &process.uid) ||
      (!ids.second.empty() && !absl::SimpleAtoi(ids.second, &process.gid))) {
    return absl::InvalidArgumentError(absl::StrCat("--user ", options.user, ": not uid[:gid]"));
  }
  process.groups.clear();
  return process;
}

}  // namespace

absl::StatusOr<int> OciRuntime::Exec(const std::string& id, const BundleExecOptions& options) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const OciRecord record, directory.Load());
  const OciStatus status = directory.StatusOf(record);
  if (status != OciStatus::kRunning && status != OciStatus::kCreated) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot exec in a container that is ", OciStatusName(status)));
  }
  ASSIGN_OR_RETURN(const std::string text, directory.LoadConfig());
  ASSIGN_OR_RETURN(const OciConfig config, ParseOciConfig(text));
  ASSIGN_OR_RETURN(const OciProcess process, DescribeProcess(config, options));
  if (process.terminal && options.console_socket.empty()) {
    return absl::InvalidArgumentError("a terminal needs --console-socket");
  }
  RETURN_IF_ERROR(CheckExecutable(record.pid, process));
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  ExecContext context{.namespaces = ForeignNamespaces(record.pid)};
  ASSIGN_OR_RETURN(context.process, directory.OpenProcess(record));
  ASSIGN_OR_RETURN(context.root,
                   OpenFile(absl::StrCat("/proc/", record.pid, "/root"), O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(context.cgroup, groups->OpenJoin(record.cgroup_name));
  for (int i = 0; i < 3; ++i) context.standard_streams[i] = UniqueFd(fcntl(i, F_DUPFD_CLOEXEC, 3));
  ASSIGN_OR_RETURN(Plan plan, CompileBundleExec(process, config.seccomp, std::move(context)));
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ASSIGN_OR_RETURN(const LaunchedProcess launched, Launch(std::move(plan), {}));
  if (launched.terminal.ok()) {
    RETURN_IF_ERROR(SendTerminal(options.console_socket, launched.terminal.get()));
  }
  if (!options.pid_file.empty()) RETURN_IF_ERROR(WritePidFile(options.pid_file, launched.pid));
  if (options.detach) return 0;
  return AwaitEnd(launched.pid);
}

}  // namespace slipway::agent
