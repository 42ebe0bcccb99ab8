#include "base/service/service.h"

#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/logging/logging.h"
#include "base/os/file.h"

ABSL_FLAG(std::string, root, "", "Directory of the service's state.");
ABSL_FLAG(std::string, run_dir, "/run/slipway", "Directory of the sockets.");
ABSL_FLAG(std::string, prefix, "slipway", "Prefix of bridges, tables, cgroups that are made.");
ABSL_FLAG(std::string, socket, "", "Unix socket to serve gRPC on.");
ABSL_FLAG(std::string, metrics_address, "default",
          "address:port of /metrics; \"default\" for the service's own port, empty for none.");
ABSL_FLAG(std::string, log_level, "info", "debug, info, warning or error.");

namespace slipway {
namespace {

// absl flags know only "_" in names.
std::vector<std::string> WithUnderscores(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 0; i < argc; ++i) {
    std::string argument = argv[i];
    if (i > 0 && argument.rfind("--", 0) == 0) {
      const size_t end = std::min(argument.find('='), argument.size());
      for (size_t at = 2; at < end; ++at) {
        if (argument[at] == '-') argument[at] = '_';
      }
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace

absl::string_view Version() { return "0.1.0"; }

ServiceOptions InitService(int argc, char** argv, absl::string_view name,
                           absl::string_view default_metrics_address) {
  absl::SetProgramUsageMessage(absl::StrCat("slipway-", name, " [flags]"));
  absl::FlagsUsageConfig usage;
  usage.version_string = [] { return absl::StrCat(Version(), "\n"); };
  absl::SetFlagsUsageConfig(usage);
  std::vector<std::string> arguments = WithUnderscores(argc, argv);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  const std::vector<char*> rest =
      absl::ParseCommandLine(static_cast<int>(pointers.size()), pointers.data());
  if (rest.size() > 1) {
    std::fprintf(stderr, "slipway-%s: unexpected argument \"%s\"\n", std::string(name).c_str(),
                 rest[1]);
    std::exit(2);
  }
  ServiceOptions options{.root = absl::GetFlag(FLAGS_root),
                         .run_dir = absl::GetFlag(FLAGS_run_dir),
                         .prefix = absl::GetFlag(FLAGS_prefix),
                         .socket = absl::GetFlag(FLAGS_socket),
                         .metrics_address = absl::GetFlag(FLAGS_metrics_address)};
  if (options.root.empty()) options.root = absl::StrCat("/var/lib/slipway/", name);
  if (options.socket.empty()) options.socket = absl::StrCat(options.run_dir, "/", name, ".sock");
  if (options.metrics_address == "default") {
    options.metrics_address = std::string(default_metrics_address);
  }
  absl::Status status = InitLogging(absl::StrCat("slipway-", name), absl::GetFlag(FLAGS_log_level));
  if (status.ok()) status = MakeDirectories(options.root, 0750);
  if (!status.ok()) {
    std::fprintf(stderr, "slipway-%s: %s\n", std::string(name).c_str(),
                 std::string(status.message()).c_str());
    std::exit(2);
  }
  mallopt(M_ARENA_MAX, 2);
  // Debian's Abseil is built without NDEBUG and would draw a graph of all locks, under one lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return options;
}

void WaitForTermination() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int signal = 0;
  sigwait(&set, &signal);
  Log(LogLevel::kInfo, "stopping", {{"signal", absl::StrCat(signal)}});
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  Log(LogLevel::kError, status.message());
  return 1;
}

}  // namespace slipway
