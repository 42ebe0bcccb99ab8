#ifndef RUNTIME_AGENT_OCI_RUNTIME_H_
#define RUNTIME_AGENT_OCI_RUNTIME_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime-agent/kernel/cgroup.h"
#include "runtime-agent/oci/config.h"
#include "runtime-agent/oci/container_record.h"
#include "runtime-agent/oci/launch.h"

// The verbs of runtime-spec's runtime.md, and those that container engines ask of a runtime beside
// them. There is no daemon: between create and start the container's own first process waits.
namespace slipway::agent {

struct CreateOptions {
  std::string bundle = ".";
  std::string pid_file;
  std::string console_socket;
  int preserve_fds = 0;
};

struct BundleExecOptions {
  std::string process_file;            // or:
  std::vector<std::string> arguments;  // with the container's own settings otherwise
  std::string cwd;
  std::vector<std::string> env;
  std::string user;  // "uid[:gid]"
  bool terminal = false;
  bool detach = false;
  std::string pid_file;
  std::string console_socket;
};

// The containers below one root directory. Not thread-safe, and the process has one thread.
class OciRuntime {
 public:
  explicit OciRuntime(std::string root) : root_(std::move(root)) {}

  // create.cc. The process is a child of the caller's, held before its exec.
  absl::Status Create(const std::string& id, const CreateOptions& options);

  // verbs.cc
  absl::Status Start(const std::string& id);
  absl::StatusOr<std::string> State(const std::string& id) const;
  absl::Status Kill(const std::string& id, int signal, bool all);
  absl::Status Delete(const std::string& id, bool force);
  absl::Status Pause(const std::string& id);
  absl::Status Resume(const std::string& id);
  absl::Status Update(const std::string& id, const CgroupLimits& limits);
  absl::StatusOr<std::vector<pid_t>> Processes(const std::string& id) const;
  struct Listed {
    OciRecord record;
    OciStatus status;
  };
  std::vector<Listed> List() const;
  absl::StatusOr<pid_t> PidOf(const std::string& id) const;

  // exec.cc. The exit code; 0 at once when detached.
  absl::StatusOr<int> Exec(const std::string& id, const BundleExecOptions& options);

 private:
  struct Container;  // create.cc
  absl::Status CreateIn(const OciDirectory& directory, OciRecord record, const OciConfig& config,
                        const CreateOptions& options);
  absl::StatusOr<std::unique_ptr<CgroupDriver>> GroupsOf(const OciRecord& record) const;

  const std::string root_;
};

// Of the container's namespaces those that differ from ours.
uint64_t ForeignNamespaces(pid_t pid);

// Writes a pid so that a reader sees all of it or nothing.
absl::Status WritePidFile(const std::string& path, pid_t pid);

// Hands the master of a terminal to whoever listens at `path` (runc's console-socket).
absl::Status SendTerminal(const std::string& path, int master);

// What execve would say before there is anything to undo. NotFound and PermissionDenied in runc's
// words, which engines turn into exit codes 127 and 126.
absl::Status CheckExecutable(pid_t pid, const OciProcess& process);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_RUNTIME_H_
