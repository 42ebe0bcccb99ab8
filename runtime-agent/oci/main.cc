// slipway-runtime: an OCI runtime with the command line that container engines expect of one.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "runtime-agent/oci/log.h"
#include "runtime-agent/oci/runtime.h"
#include "runtime-agent/supervisor/handoff.h"

namespace slipway::agent {
namespace {

constexpr char kVersion[] = "slipway-runtime version 1.0.0\nspec: 1.2.0\n";
constexpr int kUnknownCommand = 3;  // runc's exit code
constexpr size_t kMaxResourcesBytes = 1 << 20;

struct Options {
  std::string root = "/run/slipway-runtime";
  std::string log;
  std::string log_format = "text";
  bool debug = false;
  bool systemd = false;
  std::string criu;  // accepted and not used, as by runc since 1.1
  std::string rootless;
  std::string id;
  CreateOptions create;
  BundleExecOptions exec;
  bool no_pivot = false;
  bool no_new_keyring = false;
  std::string signal = "SIGTERM";
  bool all = false;
  bool force = false;
  bool detach = false;
  bool keep = false;
  bool quiet = false;
  std::string format = "table";
  std::string resources = "-";
};

// A container that finds its way to the runtime's own program (/proc/<pid>/exe) must not be able
// to change what later runs as root on the host: what touches containers runs from a sealed copy.
void RunFromSealedCopy(char** argv) {
  char self[64] = {};
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length > 0 && std::strncmp(self, "/memfd:", 7) == 0) return;
  auto program = OpenFile("/proc/self/exe", O_RDONLY);
  const int copy = program.ok() ? SealedCopy(program->get()) : -1;
  if (copy >= 0) execveat(copy, "", argv, environ, AT_EMPTY_PATH);
  RuntimeLog("warning", "no sealed copy of the runtime could be made");
}

absl::StatusOr<int> SignalNumber(std::string text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number) && number >= 0 && number <= SIGRTMAX) return number;
  for (char& letter : text) letter = static_cast<char>(toupper(static_cast<unsigned char>(letter)));
  if (absl::StartsWith(text, "SIG")) text = text.substr(3);
  for (int candidate = 1; candidate < SIGRTMIN; ++candidate) {
    const char* name = sigabbrev_np(candidate);
    if (name != nullptr && text == name) return candidate;
  }
  if (absl::StartsWith(text, "RTMIN+") && absl::SimpleAtoi(text.substr(6), &number) &&
      number >= 0 && SIGRTMIN + number <= SIGRTMAX) {
    return SIGRTMIN + number;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown signal \"", text, "\""));
}

// Signals of the terminal and of whoever stops us are the container's.
int ForwardSignalsUntilEnd(pid_t pid) {
  sigset_t all;
  sigfillset(&all);
  for (;;) {
    siginfo_t info;
    const int signal = sigwaitinfo(&all, &info);
    if (signal < 0) continue;
    if (signal != SIGCHLD) {
      kill(pid, signal);
      continue;
    }
    siginfo_t ended = {};
    if (waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid == pid) {
      return AwaitEnd(pid);
    }
  }
}

absl::StatusOr<int> Run(OciRuntime& runtime, const Options& options) {
  if (!options.detach) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);  // the container's process resets its own
  }
  absl::Status status = runtime.Create(options.id, options.create);
  if (!status.ok()) return status;
  status = runtime.Start(options.id);
  const auto pid = runtime.PidOf(options.id);
  if (status.ok() && options.detach) return 0;
  const int code = status.ok() && pid.ok() ? ForwardSignalsUntilEnd(*pid) : 1;
  if (!options.keep || !status.ok()) {
    const absl::Status deleted = runtime.Delete(options.id, /*force=*/true);
    if (status.ok()) status = deleted;
  }
  if (!status.ok()) return status;
  return code;
}

absl::Status PrintProcesses(const OciRuntime& runtime, const Options& options) {
  const auto pids = runtime.Processes(options.id);
  if (!pids.ok()) return pids.status();
  if (options.format == "json") {
    std::cout << boost::json::serialize(boost::json::value_from(*pids)) << "\n";
    return absl::OkStatus();
  }
  std::cout << "PID\n";
  for (const pid_t pid : *pids) std::cout << pid << "\n";
  return absl::OkStatus();
}

void PrintList(const OciRuntime& runtime, const Options& options) {
  const auto listed = runtime.List();
  if (options.quiet) {
    for (const auto& entry : listed) std::cout << entry.record.id << "\n";
  } else if (options.format == "json") {
    boost::json::array array;
    for (const auto& entry : listed) {
      array.push_back(boost::json::parse(StateJson(entry.record, entry.status)));
    }
    std::cout << boost::json::serialize(array) << "\n";
  } else {
    std::cout << "ID\tPID\tSTATUS\tBUNDLE\tCREATED\n";
    for (const auto& entry : listed) {
      const pid_t pid = entry.status == OciStatus::kStopped ? 0 : entry.record.pid;
      std::cout << entry.record.id << "\t" << pid << "\t" << OciStatusName(entry.status) << "\t"
                << entry.record.bundle << "\t" << entry.record.created << "\n";
    }
  }
}

absl::Status Update(OciRuntime& runtime, const Options& options) {
  std::string text;
  if (options.resources == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    auto file = ReadFile(options.resources, kMaxResourcesBytes);
    if (!file.ok()) return file.status();
    text = *std::move(file);
  }
  const auto limits = ParseOciResources(text);
  if (!limits.ok()) return limits.status();
  return runtime.Update(options.id, *limits);
}

absl::StatusOr<int> Dispatch(const std::string& verb, const Options& options) {
  if (options.systemd) {
    return absl::UnimplementedError("--systemd-cgroup: use the cgroupfs driver of your engine");
  }
  OciRuntime runtime(options.root);
  if (verb == "run") return Run(runtime, options);
  if (verb == "exec") return runtime.Exec(options.id, options.exec);
  absl::Status status;
  if (verb == "create") status = runtime.Create(options.id, options.create);
  if (verb == "start") status = runtime.Start(options.id);
  if (verb == "delete") status = runtime.Delete(options.id, options.force);
  if (verb == "pause") status = runtime.Pause(options.id);
  if (verb == "resume") status = runtime.Resume(options.id);
  if (verb == "ps") status = PrintProcesses(runtime, options);
  if (verb == "update") status = Update(runtime, options);
  if (verb == "list") PrintList(runtime, options);
  if (verb == "state") {
    const auto state = runtime.State(options.id);
    status = state.status();
    if (state.ok()) std::cout << *state << "\n";
  }
  if (verb == "kill") {
    const auto signal = SignalNumber(options.signal);
    status = signal.ok() ? runtime.Kill(options.id, *signal, options.all) : signal.status();
  }
  if (!status.ok()) return status;
  return 0;
}

CLI::App* AddVerb(CLI::App& app, const char* name, const char* what, Options& options) {
  CLI::App* verb = app.add_subcommand(name, what);
  verb->add_option("id", options.id, "the container")->required();
  return verb;
}

void AddCreateOptions(CLI::App* verb, Options& options) {
  verb->add_option("-b,--bundle", options.create.bundle, "directory of config.json");
  verb->add_option("--pid-file", options.create.pid_file, "file for the process's number");
  verb->add_option("--console-socket", options.create.console_socket,
                   "socket that gets the terminal's master");
  verb->add_option("--preserve-fds", options.create.preserve_fds, "descriptors to hand on");
  verb->add_flag("--no-pivot", options.no_pivot, "accepted; the root is always pivoted to");
  verb->add_flag("--no-new-keyring", options.no_new_keyring, "accepted; none is made");
}

void AddExecVerb(CLI::App& app, Options& options) {
  CLI::App* verb = AddVerb(app, "exec", "runs a further process in a container", options);
  BundleExecOptions& exec = options.exec;
  verb->add_option("-p,--process", exec.process_file, "file with the process as JSON");
  verb->add_option("--pid-file", exec.pid_file, "file for the process's number");
  verb->add_option("--console-socket", exec.console_socket, "socket that gets the terminal");
  verb->add_option("--cwd", exec.cwd, "working directory");
  verb->add_option("-e,--env", exec.env, "NAME=value")->allow_extra_args(false);
  verb->add_option("-u,--user", exec.user, "uid[:gid]");
  verb->add_flag("-t,--tty", exec.terminal, "with a terminal");
  verb->add_flag("-d,--detach", exec.detach, "do not wait for its end");
  verb->add_option("command", exec.arguments, "the program and its arguments");
  verb->positionals_at_end();
}

void AddVerbs(CLI::App& app, Options& options) {
  AddCreateOptions(AddVerb(app, "create", "makes a container, held before its program", options),
                   options);
  CLI::App* run = AddVerb(app, "run", "create, start, wait, delete", options);
  AddCreateOptions(run, options);
  run->add_flag("-d,--detach", options.detach, "do not wait for its end");
  run->add_flag("--keep", options.keep, "do not delete it");
  AddVerb(app, "start", "lets a created container run its program", options);
  AddVerb(app, "state", "prints a container's state", options);
  CLI::App* kill = AddVerb(app, "kill", "sends a signal", options);
  kill->add_option("signal", options.signal, "name or number");
  kill->add_flag("-a,--all", options.all, "to all processes of the container");
  CLI::App* remove = AddVerb(app, "delete", "removes a stopped container", options);
  remove->add_flag("-f,--force", options.force, "also a running one");
  AddVerb(app, "pause", "freezes all processes", options);
  AddVerb(app, "resume", "thaws them", options);
  AddVerb(app, "update", "changes limits", options)
      ->add_option("-r,--resources", options.resources, "file with a LinuxResources object, or -");
  CLI::App* ps = AddVerb(app, "ps", "lists processes", options);
  ps->add_option("-f,--format", options.format, "table or json");
  ps->allow_extras();
  CLI::App* list = app.add_subcommand("list", "lists containers");
  list->add_option("-f,--format", options.format, "table or json");
  list->add_flag("-q,--quiet", options.quiet, "ids only");
  AddExecVerb(app, options);
}

// The exit code, where there is nothing more to do.
std::optional<int> Parse(CLI::App& app, const Options& options, int argc, char** argv) {
  std::optional<int> code;
  std::string unknown;
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A subcommand");
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> rest = app.remaining();
    const bool no_verb = app.get_subcommands().empty() && !rest.empty() && rest[0][0] != '-';
    if (no_verb && error.get_exit_code() != 0) {
      unknown = rest[0];
    } else {
      code = app.exit(error);
    }
  }
  if (code.has_value()) return code;
  SetRuntimeLog(options.log, options.log_format == "json");
  if (options.log_format != "text" && options.log_format != "json") {
    RuntimeLog("error", absl::StrCat("invalid log-format: ", options.log_format));
    return 1;
  }
  if (unknown.empty()) return std::nullopt;
  RuntimeLog("error", absl::StrCat("unknown command \"", unknown, "\""));
  return kUnknownCommand;
}

int Main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  Options options;
  CLI::App app("Slipway's OCI runtime.", "slipway-runtime");
  app.add_option("--root", options.root, "state of the containers")->capture_default_str();
  app.add_option("--log", options.log, "file for messages");
  app.add_option("--log-format", options.log_format, "text or json");
  app.add_flag("--debug", options.debug, "accepted");
  app.add_flag("--systemd-cgroup", options.systemd, "refused: cgroupfs only");
  app.add_option("--criu", options.criu, "accepted and not used");
  app.add_option("--rootless", options.rootless, "accepted and not used");
  app.add_flag_callback("-v,--version", [] {
    std::cout << kVersion;
    std::cout.flush();
    std::exit(0);
  });
  app.require_subcommand(0, 1);  // Parse() names an unknown one
  AddVerbs(app, options);
  if (const auto code = Parse(app, options, argc, argv); code.has_value()) return *code;
  const std::string verb = app.get_subcommands().front()->get_name();
  if (verb == "create" || verb == "run" || verb == "exec") RunFromSealedCopy(argv);
  const absl::StatusOr<int> result = Dispatch(verb, options);
  if (result.ok()) return *result;
  RuntimeLog("error", result.status().message());
  return 1;
}

}  // namespace
}  // namespace slipway::agent

int main(int argc, char** argv) { return slipway::agent::Main(argc, argv); }
