#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/kernel/mount.h"
#include "runtime-agent/oci/bundle_plan.h"
#include "runtime-agent/oci/hooks.h"
#include "runtime-agent/oci/runtime.h"
#include "runtime-agent/supervisor/packet.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxConfigBytes = 4 << 20;
constexpr char kDefaultParent[] = "slipway-runtime";

absl::StatusOr<std::string> Absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return ErrnoStatus(errno, absl::StrCat("bundle ", path));
  std::string result = resolved;
  free(resolved);
  return result;
}

// "/parent/name" as engines with the cgroupfs driver write it.
absl::Status SetGroup(const std::string& path, OciRecord& record) {
  if (absl::StrContains(path, ':')) {
    return absl::UnimplementedError(
        absl::StrCat("linux.cgroupsPath ", path, ": systemd cgroups are not supported"));
  }
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (const std::string& part : parts) {
    if (part == "." || part == "..") {
      return absl::InvalidArgumentError(absl::StrCat("linux.cgroupsPath ", path, ": no path"));
    }
  }
  if (parts.empty()) parts = {kDefaultParent, record.id};
  if (parts.size() == 1) parts.insert(parts.begin(), kDefaultParent);
  record.cgroup_name = parts.back();
  parts.pop_back();
  record.cgroup_parent = absl::StrJoin(parts, "/");
  return absl::OkStatus();
}

absl::Status CheckFile(int root, const std::string& path) {
  auto file = OpenBeneath(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
  RETURN_IF_ERROR(file.status());
  struct stat info;
  if (fstat(file->get(), &info) != 0) return ErrnoStatus(errno, path);
  if (S_ISDIR(info.st_mode) || (info.st_mode & 0111) == 0) {
    return absl::PermissionDeniedError("permission denied");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckExecutable(pid_t pid, const OciProcess& process) {
  const std::string& program = process.args[0];
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(absl::StrCat("/proc/", pid, "/root"), O_PATH | O_DIRECTORY));
  const std::string prefix =
      absl::StrCat("unable to start container process: exec: \"", program, "\": ");
  if (absl::StrContains(program, '/')) {
    const std::string path = program[0] == '/' ? program : absl::StrCat(process.cwd, "/", program);
    const absl::Status found = CheckFile(root.get(), path);
    if (absl::IsNotFound(found)) {
      return absl::NotFoundError(
          absl::StrCat(prefix, "stat ", program, ": no such file or directory"));
    }
    if (absl::IsPermissionDenied(found)) {
      return absl::PermissionDeniedError(absl::StrCat(prefix, "permission denied"));
    }
    return absl::OkStatus();  // the rest execve will say
  }
  absl::string_view search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : process.env) {
    if (absl::StartsWith(variable, "PATH=")) search = absl::string_view(variable).substr(5);
  }
  bool denied = false;
  for (absl::string_view directory : absl::StrSplit(search, ':')) {
    const std::string base = directory.empty() ? process.cwd : std::string(directory);
    const absl::Status found = CheckFile(root.get(), absl::StrCat(base, "/", program));
    if (found.ok()) return absl::OkStatus();
    denied |= absl::IsPermissionDenied(found);
  }
  if (denied) return absl::PermissionDeniedError(absl::StrCat(prefix, "permission denied"));
  return absl::NotFoundError(absl::StrCat(prefix, "executable file not found in $PATH"));
}

absl::Status WritePidFile(const std::string& path, pid_t pid) {
  const std::string part = path + ".part";
  {
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(part, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    RETURN_IF_ERROR(WriteAll(file.get(), absl::StrCat(pid), part));
  }
  if (rename(part.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("rename ", part));
}

absl::Status SendTerminal(const std::string& path, int master) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("console socket ", path, ": path too long"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.ok() ||
      connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("connect to console socket ", path));
  }
  fcntl(master, F_SETFL, fcntl(master, F_GETFL) & ~O_NONBLOCK);  // as engines expect it
  static constexpr char kName[] = "/dev/ptmx";
  if (SendPacket(socket_fd.get(), kName, sizeof(kName) - 1, &master, 1, 0) < 0) {
    return ErrnoStatus(errno, absl::StrCat("send a terminal to ", path));
  }
  return absl::OkStatus();
}

uint64_t ForeignNamespaces(pid_t pid) {
  struct Kind {
    const char* name;
    uint64_t flag;
  };
  uint64_t flags = 0;
  for (const Kind& kind :
       {Kind{"mnt", CLONE_NEWNS}, Kind{"pid", CLONE_NEWPID}, Kind{"net", CLONE_NEWNET},
        Kind{"ipc", CLONE_NEWIPC}, Kind{"uts", CLONE_NEWUTS}, Kind{"cgroup", CLONE_NEWCGROUP}}) {
    struct stat theirs;
    struct stat ours;
    const std::string path = absl::StrCat("/proc/", pid, "/ns/", kind.name);
    if (stat(path.c_str(), &theirs) != 0 ||
        stat(absl::StrCat("/proc/self/ns/", kind.name).c_str(), &ours) != 0) {
      continue;
    }
    if (theirs.st_ino != ours.st_ino) flags |= kind.flag;
  }
  return flags;
}

absl::StatusOr<std::unique_ptr<CgroupDriver>> OciRuntime::GroupsOf(const OciRecord& record) const {
  return DetectCgroupDriver({.prefix = record.cgroup_parent});
}

absl::Status OciRuntime::CreateIn(const OciDirectory& directory, OciRecord record,
                                  const OciConfig& config, const CreateOptions& options) {
  if (config.process.terminal == options.console_socket.empty()) {
    return absl::InvalidArgumentError(config.process.terminal
                                          ? "a terminal needs --console-socket"
                                          : "--console-socket, but process.terminal is false");
  }
  RETURN_IF_ERROR(SetGroup(config.cgroups_path, record));
  ASSIGN_OR_RETURN(const std::unique_ptr<CgroupDriver> groups, GroupsOf(record));
  ASSIGN_OR_RETURN(CgroupLease group, groups->CreateGroup(record.cgroup_name, config.limits));
  BundleContext context{
      .bundle = record.bundle,
      .cgroup_path = absl::StrCat("/", record.cgroup_parent, "/", record.cgroup_name)};
  ASSIGN_OR_RETURN(context.cgroup, groups->OpenJoin(record.cgroup_name));
  for (int i = 0; i < 3; ++i) context.standard_streams[i] = UniqueFd(fcntl(i, F_DUPFD_CLOEXEC, 3));
  ASSIGN_OR_RETURN(Plan plan, CompileBundle(config, std::move(context)));
  ASSIGN_OR_RETURN(const UniqueFd hold, directory.Listen());
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const auto at_gate = [&](const LaunchedProcess& process) -> absl::Status {
    record.pid = process.pid;
    record.start_ticks = StartTicksOf(process.pid);
    RETURN_IF_ERROR(directory.Save(record));
    const std::string state = StateJson(record, OciStatus::kCreating);
    for (const char* kind : {"prestart", "createRuntime"}) {
      RETURN_IF_ERROR(RunHooks(config.hooks.at(kind), state, {}));
    }
    const HookPlace inside{process.pidfd.get(),
                           ForeignNamespaces(process.pid) & ~uint64_t{CLONE_NEWPID}};
    return RunHooks(config.hooks.at("createContainer"), state, inside);
  };
  ASSIGN_OR_RETURN(const LaunchedProcess process,
                   Launch(std::move(plan),
                          {.staging = directory.stage(), .hold = hold.get(), .at_gate = at_gate}));
  const auto finish = [&]() -> absl::Status {
    RETURN_IF_ERROR(CheckExecutable(process.pid, config.process));
    if (process.terminal.ok()) {
      RETURN_IF_ERROR(SendTerminal(options.console_socket, process.terminal.get()));
    }
    if (!options.pid_file.empty()) {
      RETURN_IF_ERROR(WritePidFile(options.pid_file, process.pid));
    }
    return absl::OkStatus();
  };
  const absl::Status finished = finish();
  if (!finished.ok()) {
    kill(process.pid, SIGKILL);
    AwaitEnd(process.pid);
    return finished;
  }
  group.Release();
  return absl::OkStatus();
}

absl::Status OciRuntime::Create(const std::string& id, const CreateOptions& options) {
  ASSIGN_OR_RETURN(const OciDirectory directory, OciDirectory::At(root_, id));
  ASSIGN_OR_RETURN(const std::string bundle, Absolute(options.bundle));
  ASSIGN_OR_RETURN(const std::string text, ReadFile(bundle + "/config.json", kMaxConfigBytes));
  const auto config = ParseOciConfig(text);
  if (!config.ok()) {
    return absl::Status(config.status().code(),
                        absl::StrCat("config.json: ", config.status().message()));
  }
  if (options.preserve_fds != 0) {
    return absl::UnimplementedError("--preserve-fds: descriptors are not handed on");
  }
  RETURN_IF_ERROR(directory.Make());
  absl::Cleanup undo = [&directory] { directory.Remove().IgnoreError(); };
  RETURN_IF_ERROR(directory.SaveConfig(text));
  OciRecord record{
      .version = config->version,
      .id = id,
      .bundle = bundle,
      .created = absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone()),
      .annotations = config->annotations};
  RETURN_IF_ERROR(CreateIn(directory, std::move(record), *config, options));
  std::move(undo).Cancel();
  return absl::OkStatus();
}

}  // namespace slipway::agent
