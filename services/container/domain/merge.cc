#include "services/container/domain/merge.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/container/domain/clean_path.h"

namespace slipway::container {
namespace {

using Strings = std::vector<std::string>;

absl::string_view EnvName(absl::string_view entry) { return entry.substr(0, entry.find('=')); }

// The last of several entries with one name wins and keeps the place of the first; "NAME" alone
// takes the image's away, and stays to be seen, as with dockerd; no process gets it.
Strings MergeEnv(const Strings& spec, const Strings& image) {
  Strings merged;
  absl::flat_hash_set<std::string> named;
  const auto put = [&merged](const std::string& entry) {
    for (std::string& old : merged) {
      if (EnvName(old) == EnvName(entry)) {
        old = entry;
        return;
      }
    }
    merged.push_back(entry);
  };
  for (const std::string& entry : spec) {
    named.insert(std::string(EnvName(entry)));
    put(entry);
  }
  for (const std::string& entry : image) {
    if (!named.contains(EnvName(entry))) put(entry);
  }
  return merged;
}

Strings Union(const Strings& first, const Strings& second) {
  Strings all = first;
  for (const std::string& entry : second) {
    if (std::find(all.begin(), all.end(), entry) == all.end()) all.push_back(entry);
  }
  return all;
}

// "80" means "80/tcp".
Strings WithProtocol(Strings ports) {
  for (std::string& port : ports) {
    if (!absl::StrContains(port, '/')) port += "/tcp";
  }
  return ports;
}

std::optional<Healthcheck> MergeHealthcheck(const std::optional<Healthcheck>& spec,
                                            const std::optional<Healthcheck>& image) {
  if (!spec.has_value() || !image.has_value()) return spec.has_value() ? spec : image;
  Healthcheck merged = *spec;
  if (merged.test.empty()) merged.test = image->test;
  const auto fill = [](auto& field, auto other) {
    if (field == 0) field = other;
  };
  fill(merged.interval_ns, image->interval_ns);
  fill(merged.timeout_ns, image->timeout_ns);
  fill(merged.start_period_ns, image->start_period_ns);
  fill(merged.start_interval_ns, image->start_interval_ns);
  fill(merged.retries, image->retries);
  return merged;
}

void MergeCommand(const ContainerSpec& spec, const ImageConfig& image, ImageConfig& merged) {
  merged.command = spec.command;
  if (spec.entrypoint.has_value()) {
    merged.entrypoint = *spec.entrypoint;
    // Docker's way to say "none" where a list cannot be told from an absent one.
    if (merged.entrypoint.size() == 1 && merged.entrypoint[0].empty()) merged.entrypoint.clear();
    return;
  }
  merged.entrypoint = image.entrypoint;
  if (spec.command.empty()) merged.command = image.command;
}

}  // namespace

absl::StatusOr<MergedConfig> MergeConfig(const ContainerSpec& spec, const ImageConfig& image) {
  MergedConfig merged;
  ImageConfig& config = merged.effective;
  config.user = spec.user.empty() ? image.user : spec.user;
  config.exposed_ports = WithProtocol(spec.exposed_ports);
  for (const PortBinding& port : spec.network.ports) {
    config.exposed_ports = Union(
        config.exposed_ports,
        {absl::StrCat(port.container_port, "/", port.protocol.empty() ? "tcp" : port.protocol)});
  }
  config.exposed_ports = Union(config.exposed_ports, WithProtocol(image.exposed_ports));
  config.env = MergeEnv(spec.env, image.env);
  MergeCommand(spec, image, config);
  config.volumes = Union(spec.volumes, image.volumes);
  const std::string& directory =
      spec.working_directory.empty() ? image.working_directory : spec.working_directory;
  if (!directory.empty()) config.working_directory = CleanTarget(directory);
  config.labels = spec.labels;
  config.labels.insert(image.labels.begin(), image.labels.end());
  config.stop_signal = spec.stop_signal.empty() ? image.stop_signal : spec.stop_signal;
  config.shell = image.shell;
  config.on_build = image.on_build;
  config.healthcheck = MergeHealthcheck(spec.healthcheck, image.healthcheck);
  config.args_escaped = image.args_escaped && spec.command.empty();

  Strings argv = config.entrypoint;
  argv.insert(argv.end(), config.command.begin(), config.command.end());
  if (argv.empty()) return absl::InvalidArgumentError("no command specified");
  merged.path = argv.front();
  merged.args.assign(argv.begin() + 1, argv.end());
  return merged;
}

std::vector<std::string> ProcessEnv(const std::vector<std::string>& config_env,
                                    absl::string_view hostname, bool tty) {
  Strings defaults = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                      absl::StrCat("HOSTNAME=", hostname)};
  if (tty) defaults.push_back("TERM=xterm");
  Strings env;
  for (std::string& entry : defaults) {
    const bool replaced = std::any_of(
        config_env.begin(), config_env.end(),
        [&entry](const std::string& other) { return EnvName(other) == EnvName(entry); });
    if (!replaced) env.push_back(std::move(entry));
  }
  for (const std::string& entry : config_env) {
    if (absl::StrContains(entry, '=')) env.push_back(entry);
  }
  return env;
}

}  // namespace slipway::container
