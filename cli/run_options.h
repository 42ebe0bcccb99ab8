#ifndef CLI_RUN_OPTIONS_H_
#define CLI_RUN_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "slipway/container/v1/container.pb.h"

namespace slipway::cli {

// The options of `run` and `create`, as typed.
struct RunOptions {
  std::string name;
  bool detach = false, interactive = false, tty = false, remove = false;
  bool read_only = false, init = false, privileged = false;
  std::vector<std::string> env, labels, ports, volumes, tmpfs, cap_add, cap_drop, security, hosts,
      dns, ulimits, groups;
  std::string workdir, user, network, memory, hostname, stop_signal, pid, ipc, uts, shm_size,
      restart;
  std::optional<std::string> entrypoint;
  double cpus = 0;
  int64_t cpu_shares = 0, pids_limit = 0;
  std::string cpuset_cpus;
  std::optional<int> stop_timeout;
  std::string pull = "missing";
  std::vector<std::string> rest;  // the image, the command and its arguments

  void AddTo(CLI::App& command_line);
};

// Leaves the first word that is no option, and all that follows it, in `rest` when parsing is done:
// they belong to the command, whatever they look like. `usage` is for --help.
void AddRest(CLI::App& app, const std::string& usage, std::vector<std::string>& rest);

// InvalidArgument when `rest` is empty or begins with an option that nobody knows.
absl::Status CheckRest(const std::vector<std::string>& rest, absl::string_view what);

// What was typed as a spec. InvalidArgument names the option and its value.
absl::StatusOr<container::v1::ContainerSpec> ToSpec(const RunOptions& options);

// "64m" -> 67108864. Units b, k, m, g of 1024, with or without a "b" behind.
absl::StatusOr<int64_t> ParseBytes(absl::string_view text);

// "[address:][host_port:]container_port[/protocol]", ranges of equal length too; appends to `out`.
absl::Status ParsePort(absl::string_view text, container::v1::Network& out);

// "source:target[:options]", "target".
absl::Status ParseVolume(absl::string_view text, container::v1::ContainerSpec& out);

}  // namespace slipway::cli

#endif  // CLI_RUN_OPTIONS_H_
