#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/service/service.h"
#include "runtime-agent/server.h"

ABSL_FLAG(std::string, supervisor, "/usr/local/lib/slipway/slipway-supervisor",
          "Path of slipway-supervisor, started when none runs.");
ABSL_FLAG(
    std::string, archiver, "",
    "Path of slipway-archive, which reads and writes containers' files; beside --supervisor.");
ABSL_FLAG(std::string, dns, "",
          "Path of slipway-dns, which answers for names in networks; beside --supervisor.");
ABSL_FLAG(std::string, image_socket, "", "Socket of the image service; <run_dir>/image.sock.");
ABSL_FLAG(std::string, log_socket, "", "Socket of the log service; <run_dir>/log.sock.");
ABSL_FLAG(std::string, socket_owner, "", "User (name or number) who may connect; root if empty.");
ABSL_FLAG(std::string, bridge_subnet, "172.29.0.0/16", "IPv4 subnet of the default bridge.");
ABSL_FLAG(uint32_t, ready_sandboxes, 4,
          "Network namespaces that are made before they are needed, of each kind, 1000 at most; 0: "
          "none.");
ABSL_FLAG(std::string, host_id, "", "Identity of this host; made and kept when empty.");
ABSL_FLAG(std::string, fail_start_at_file, "",
          "For tests: every start fails at the step that this file names.");
ABSL_FLAG(int, ready_runs, 16,
          "How many created containers may stand ready for their start at a time, each for 2 s; 0: "
          "none.");
ABSL_FLAG(std::string, userns_remap, "",
          "Ids of the host that containers' users get: <first>:<count>, or a user of /etc/subuid "
          "(\"default\": dockremap). Not remapped when empty.");
ABSL_FLAG(std::string, cgroup_parent, "", "Group below which containers' groups are; <prefix>.");

namespace {

constexpr size_t kMaxReadySandboxes = 1000;

[[noreturn]] void Usage(const std::string& message) {
  std::fprintf(stderr, "slipway-agent: %s\n", message.c_str());
  std::exit(2);
}

uid_t UserId(const std::string& text) {
  uint32_t number = 0;
  if (text.empty()) return static_cast<uid_t>(-1);
  if (absl::SimpleAtoi(text, &number)) return number;
  const passwd* entry = getpwnam(text.c_str());
  if (entry == nullptr) Usage(absl::StrCat("--socket_owner: no user ", text));
  return entry->pw_uid;
}

}  // namespace

int main(int argc, char** argv) {
  // A development aid that costs a lookup in a graph for every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  slipway::agent::ServerOptions options;
  options.service = slipway::InitService(argc, argv, "agent", "127.0.0.1:9485");
  if (geteuid() != 0) Usage("must run as root");
  // Several descriptors a container.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const std::string& run_dir = options.service.run_dir;
  options.supervisor = absl::GetFlag(FLAGS_supervisor);
  options.archiver = absl::GetFlag(FLAGS_archiver);
  if (options.archiver.empty()) {
    const std::string& beside = options.supervisor;
    options.archiver = absl::StrCat(beside.substr(0, beside.rfind('/') + 1), "slipway-archive");
  }
  options.dns = absl::GetFlag(FLAGS_dns);
  if (options.dns.empty()) {
    const std::string& beside = options.supervisor;
    options.dns = absl::StrCat(beside.substr(0, beside.rfind('/') + 1), "slipway-dns");
  }
  options.ready_sandboxes = absl::GetFlag(FLAGS_ready_sandboxes);
  if (options.ready_sandboxes > kMaxReadySandboxes) {
    Usage(absl::StrCat("--ready_sandboxes must not be more than ", kMaxReadySandboxes));
  }
  options.image_socket = absl::GetFlag(FLAGS_image_socket);
  if (options.image_socket.empty()) options.image_socket = absl::StrCat(run_dir, "/image.sock");
  options.log_socket = absl::GetFlag(FLAGS_log_socket);
  if (options.log_socket.empty()) options.log_socket = absl::StrCat(run_dir, "/log.sock");
  options.socket_owner = UserId(absl::GetFlag(FLAGS_socket_owner));
  options.bridge_subnet = absl::GetFlag(FLAGS_bridge_subnet);
  options.host_id = absl::GetFlag(FLAGS_host_id);
  options.fail_start_at_file = absl::GetFlag(FLAGS_fail_start_at_file);
  if (absl::GetFlag(FLAGS_ready_runs) < 0) Usage("--ready_runs must not be negative");
  options.ready_runs = static_cast<size_t>(absl::GetFlag(FLAGS_ready_runs));
  options.cgroup_parent = absl::GetFlag(FLAGS_cgroup_parent);
  if (options.cgroup_parent.empty()) options.cgroup_parent = options.service.prefix;
  slipway::agent::UserRemap remap;
  if (const std::string users = absl::GetFlag(FLAGS_userns_remap); !users.empty()) {
    auto made = slipway::agent::MakeUserRemap(users);
    if (!made.ok()) Usage(absl::StrCat("--userns_remap: ", made.status().message()));
    remap = *std::move(made);
    options.remap = &remap;
  }
  return slipway::ExitCode(slipway::agent::RunServer(options));
}
