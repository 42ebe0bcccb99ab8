#include "runtime-agent/domain/definition_check.h"

#include <algorithm>
#include <iterator>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/capabilities.h"
#include "runtime-agent/domain/environment.h"

namespace slipway::agent {
namespace {

using Kind = NamespaceMode::Kind;

constexpr int64_t kDefaultShmBytes = 64 << 20;

absl::StatusOr<NamespaceMode> ParseNamespace(absl::string_view option, absl::string_view text,
                                             bool may_join, bool may_be_none) {
  if (text.empty() || text == "private" || (text == "shareable" && may_be_none)) {
    return NamespaceMode{};
  }
  if (text == "host") return NamespaceMode{.kind = Kind::kHost};
  if (text == "none" && may_be_none) return NamespaceMode{.kind = Kind::kNone};
  absl::string_view id = text;
  if (may_join && absl::ConsumePrefix(&id, "container:") && !id.empty()) {
    return NamespaceMode{.kind = Kind::kContainer, .container_id = std::string(id)};
  }
  return absl::InvalidArgumentError(absl::StrCat("invalid ", option, " mode: ", text));
}

absl::Status DefineNamespaces(const PrepareCommand& command, Definition* definition) {
  const NamespaceSpec& spec = command.spec.namespaces;
  ASSIGN_OR_RETURN(definition->pid, ParseNamespace("PID", spec.pid, true, false));
  ASSIGN_OR_RETURN(definition->ipc, ParseNamespace("IPC", spec.ipc, true, true));
  ASSIGN_OR_RETURN(definition->uts, ParseNamespace("UTS", spec.uts, true, false));
  ASSIGN_OR_RETURN(definition->cgroup, ParseNamespace("cgroup", spec.cgroup, false, false));
  if (!spec.user.empty() && spec.user != "host" && spec.user != "private") {
    return absl::UnimplementedError(
        absl::StrCat("user namespaces (--userns ", spec.user, ") are not offered"));
  }
  // A container whose network is another's lives in that one's sandbox; sandboxes of several
  // containers with namespaces of their own come with pods.
  if (!command.sandbox_id.empty() && command.sandbox_id != command.id &&
      command.spec.network.mode != absl::StrCat("container:", command.sandbox_id)) {
    return absl::UnimplementedError("joining a sandbox (sandbox_id) is not offered");
  }
  return absl::OkStatus();
}

// Docker's rules for --userns-remap.
absl::Status DefineUsers(const ContainerSpec& spec, const HostFacts& facts,
                         Definition* definition) {
  if (facts.first_uid == 0 || spec.namespaces.user == "host") return absl::OkStatus();
  const auto conflict = [](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot share the host's ", what, " when user namespaces are enabled"));
  };
  if (spec.security.privileged) {
    return absl::InvalidArgumentError(
        "privileged mode is incompatible with user namespaces.  You must run the container in the "
        "host namespace when running privileged mode");
  }
  if (definition->network.kind == Kind::kHost) return conflict("network namespace");
  if (definition->pid.kind == Kind::kHost) return conflict("PID namespace");
  definition->first_uid = facts.first_uid;
  definition->first_gid = facts.first_gid;
  return absl::OkStatus();
}

absl::Status DefineSecurity(const PrepareCommand& command, const HostFacts& facts,
                            DefinitionResult* result) {
  const SecuritySpec& spec = command.spec.security;
  Definition& definition = result->definition;
  definition.privileged = spec.privileged;
  definition.no_new_privileges = spec.no_new_privileges;
  ASSIGN_OR_RETURN(CapabilityGrant grant,
                   ResolveCapabilities(
                       {.privileged = spec.privileged, .add = spec.cap_add, .drop = spec.cap_drop},
                       facts.capabilities));
  definition.capabilities = grant.mask;
  result->warnings.insert(result->warnings.end(), grant.warnings.begin(), grant.warnings.end());
  definition.seccomp_profile = spec.seccomp_profile;
  if (spec.privileged) {
    definition.seccomp_profile = "unconfined";
    return absl::OkStatus();
  }
  definition.masked_paths.assign(std::begin(kDefaultMaskedPaths), std::end(kDefaultMaskedPaths));
  definition.read_only_paths.assign(std::begin(kDefaultReadOnlyPaths),
                                    std::end(kDefaultReadOnlyPaths));
  if (spec.masked_paths.has_value()) definition.masked_paths = *spec.masked_paths;
  if (spec.read_only_paths.has_value()) definition.read_only_paths = *spec.read_only_paths;
  for (auto* paths : {&definition.masked_paths, &definition.read_only_paths}) {
    for (std::string& path : *paths) {
      ASSIGN_OR_RETURN(path, CleanPath(path, "masked or read-only path"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ParseSize(absl::string_view text, absl::string_view option) {
  uint64_t value = 0;
  uint64_t unit = 1;
  absl::string_view digits = text;
  if (absl::EndsWithIgnoreCase(digits, "b")) digits.remove_suffix(1);
  if (!digits.empty()) {
    const char last = absl::ascii_tolower(static_cast<unsigned char>(digits.back()));
    unit = last == 'k' ? 1u << 10 : last == 'm' ? 1u << 20 : last == 'g' ? 1u << 30 : 1;
    if (unit != 1) digits.remove_suffix(1);
  }
  if (!absl::SimpleAtoi(digits, &value) || value > (uint64_t{1} << 40) / unit) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid value for log option ", option, ": ", text));
  }
  return value * unit;
}

// Those that the options env and env-regex may name.
std::vector<std::string> LoggedVariables(const PrepareCommand& command) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.spec.log_options) {
    if (name == "env-regex") return command.env;
    if (name != "env") continue;
    const std::vector<std::string> wanted = absl::StrSplit(value, ',');
    for (const std::string& variable : command.env) {
      const std::string key = variable.substr(0, variable.find('='));
      if (std::find(wanted.begin(), wanted.end(), key) != wanted.end()) {
        variables.push_back(variable);
      }
    }
  }
  return variables;
}

// Drivers and their options were checked where the container was created; what matters here is how
// the spool behaves.
absl::Status DefineLog(const PrepareCommand& command, DefinitionResult* result) {
  const ContainerSpec& spec = command.spec;
  Definition& definition = result->definition;
  definition.ship_log = spec.log_driver != "none";
  bool sized = false;
  for (const auto& [name, value] : spec.log_options) {
    if (name == "mode" && (value == "blocking" || value == "non-blocking")) {
      definition.drop_when_full = value == "non-blocking";
    } else if (name == "mode") {
      return absl::InvalidArgumentError(
          absl::StrCat("logger: logging mode not supported: ", value));
    } else if (name == "max-buffer-size") {
      ASSIGN_OR_RETURN(const uint64_t size, ParseSize(value, name));
      definition.spool_capacity_bytes = std::max<uint64_t>(size, 64 << 10);
      sized = true;
    }
  }
  if (definition.drop_when_full && !sized) {
    definition.spool_capacity_bytes = kDroppingSpoolCapacityBytes;
  }
  definition.logged = {.name = command.name,
                       .image = command.image,
                       .image_id = command.image_id,
                       .labels = command.labels,
                       .env = LoggedVariables(command),
                       .argv = command.argv,
                       .tty = spec.tty,
                       .driver = spec.log_driver,
                       .options = spec.log_options,
                       .created_unix_ns = command.created_unix_ns};
  return absl::OkStatus();
}

absl::Status DefineProcess(const PrepareCommand& command, DefinitionResult* result) {
  const ContainerSpec& spec = command.spec;
  Definition& definition = result->definition;
  if (command.argv.empty()) {
    return absl::InvalidArgumentError("no command specified");
  }
  for (const auto* list : {&command.argv, &command.env}) {
    for (const std::string& text : *list) {
      if (text.find('\0') != std::string::npos) {
        return absl::InvalidArgumentError("a command or variable contains a NUL byte");
      }
    }
  }
  definition.argv = command.argv;
  definition.hostname = command.hostname;
  if (definition.hostname.empty()) definition.hostname = command.id.substr(0, 12);
  if (definition.hostname.size() > 64) {
    return absl::InvalidArgumentError("hostname is longer than 64 bytes");
  }
  definition.domainname = spec.domainname;
  definition.tty = spec.tty;
  definition.env = ContainerEnvironment(command.env, definition.hostname, spec.tty);
  ASSIGN_OR_RETURN(definition.working_directory,
                   CleanPath(command.working_directory.empty() ? "/" : command.working_directory,
                             "working directory"));
  definition.user_text = command.user;
  definition.additional_groups = spec.additional_groups;
  definition.open_stdin = spec.open_stdin;
  definition.stdin_once = spec.stdin_once;
  definition.auto_remove = spec.auto_remove;
  definition.init = spec.init;
  definition.read_only_root = spec.read_only_root;
  definition.rows = static_cast<uint16_t>(std::min<uint32_t>(spec.terminal_rows, 0xffff));
  definition.columns = static_cast<uint16_t>(std::min<uint32_t>(spec.terminal_columns, 0xffff));
  if (spec.shm_size_bytes < 0) return absl::InvalidArgumentError("SHM size can not be less than 0");
  definition.shm_size_bytes = spec.shm_size_bytes == 0 ? kDefaultShmBytes : spec.shm_size_bytes;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CleanPath(absl::string_view path, absl::string_view what) {
  if (path.empty() || path[0] != '/' || path.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ", what, " '", path, "' is invalid, it needs to be an absolute path"));
  }
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return absl::StrCat("/", absl::StrJoin(parts, "/"));
}

std::vector<std::string> WithoutRepeats(const std::vector<std::string>& diff_ids) {
  std::vector<std::string> kept;
  absl::flat_hash_set<absl::string_view> seen;
  for (auto id = diff_ids.rbegin(); id != diff_ids.rend(); ++id) {
    if (seen.insert(*id).second) kept.push_back(*id);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

absl::StatusOr<DefinitionResult> DefineContainer(const PrepareCommand& command,
                                                 const HostFacts& facts) {
  DefinitionResult result;
  Definition& definition = result.definition;
  definition.id = command.id;
  definition.name = command.name;
  definition.layer_diff_ids = WithoutRepeats(command.layer_diff_ids);
  RETURN_IF_ERROR(DefineNamespaces(command, &definition));
  RETURN_IF_ERROR(DefineProcess(command, &result));
  RETURN_IF_ERROR(DefineNetwork(command, &definition));
  RETURN_IF_ERROR(DefineSecurity(command, facts, &result));
  RETURN_IF_ERROR(DefineUsers(command.spec, facts, &definition));
  ASSIGN_OR_RETURN(definition.limits, DefineLimits(command.spec.resources, facts));
  ASSIGN_OR_RETURN(definition.cgroup_parent,
                   DefineCgroupParent(command.spec.resources.cgroup_parent));
  RETURN_IF_ERROR(DefineDevices(command.spec, &definition));
  definition.oom_score_adj = command.spec.resources.oom_score_adj;
  if (definition.oom_score_adj < -1000 || definition.oom_score_adj > 1000) {
    return absl::InvalidArgumentError(absl::StrCat("Invalid value ", definition.oom_score_adj,
                                                   ", range for oom score adj is [-1000, 1000]"));
  }
  if (definition.oom_score_adj < facts.own_oom_score_adj && !facts.may_raise_limits &&
      definition.oom_score_adj != 0) {
    result.warnings.push_back(
        absl::StrCat("oom-score-adj ", definition.oom_score_adj,
                     " needs CAP_SYS_RESOURCE on the host: ", facts.own_oom_score_adj, " is used"));
    definition.oom_score_adj = facts.own_oom_score_adj;
  }
  ASSIGN_OR_RETURN(definition.rlimits,
                   DefineRlimits(command.spec.ulimits, facts.may_raise_limits, &result.warnings));
  definition.sysctls = command.spec.sysctls;
  RETURN_IF_ERROR(CheckSysctls(definition.sysctls, definition));
  ASSIGN_OR_RETURN(definition.mounts, DefineMounts(command, facts));
  RETURN_IF_ERROR(DefineLog(command, &result));
  return result;
}

}  // namespace slipway::agent
