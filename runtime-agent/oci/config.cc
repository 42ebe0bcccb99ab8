#include "runtime-agent/oci/config.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/capabilities.h"
#include "runtime-agent/oci/json_reader.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxConfigBytes = 4 << 20;

struct Name {
  absl::string_view text;
  uint64_t value;
};

constexpr Name kNamespaces[] = {{"pid", CLONE_NEWPID},   {"network", CLONE_NEWNET},
                                {"mount", CLONE_NEWNS},  {"ipc", CLONE_NEWIPC},
                                {"uts", CLONE_NEWUTS},   {"cgroup", CLONE_NEWCGROUP},
                                {"user", CLONE_NEWUSER}, {"time", 0}};

constexpr Name kRlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},         {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},     {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},       {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},     {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_STACK", RLIMIT_STACK},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING}};

constexpr Name kPropagations[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};

template <size_t kCount>
const Name* FindName(const Name (&names)[kCount], absl::string_view text) {
  for (const Name& name : names) {
    if (name.text == text) return &name;
  }
  return nullptr;
}

uint64_t ReadCapabilities(const JsonReader& reader, absl::string_view key) {
  uint64_t mask = 0;
  for (const std::string& name : reader.Texts(key)) {
    int number = 0;
    while (number < 64 && CapabilityName(number) != name) ++number;
    // As runc: what this kernel does not know is left out.
    if (number < 64) mask |= uint64_t{1} << number;
  }
  return mask;
}

OciProcess ReadProcess(const JsonReader& reader) {
  OciProcess process;
  process.terminal = reader.Flag("terminal");
  const JsonReader size = reader.Object("consoleSize");
  process.rows = static_cast<uint16_t>(std::clamp<int64_t>(size.Number("height"), 0, 0xffff));
  process.columns = static_cast<uint16_t>(std::clamp<int64_t>(size.Number("width"), 0, 0xffff));
  const JsonReader user = reader.Object("user");
  for (const char* key : {"uid", "gid"}) {
    const int64_t id = user.Number(key);
    if (id < 0 || id > 0xffffffff) user.Wrong(key, "is not an id");
  }
  process.uid = static_cast<uint32_t>(user.Number("uid"));
  process.gid = static_cast<uint32_t>(user.Number("gid"));
  process.groups = user.Numbers("additionalGids");
  if (user.Has("umask")) process.umask = static_cast<uint32_t>(user.Number("umask") & 0777);
  process.args = reader.Texts("args");
  if (process.args.empty()) reader.Wrong("args", "is empty: there is nothing to run");
  process.env = reader.Texts("env");
  process.cwd = reader.Text("cwd");
  if (process.cwd.empty() || process.cwd[0] != '/') reader.Wrong("cwd", "is not an absolute path");
  const JsonReader sets = reader.Object("capabilities");
  process.capabilities = {.bounding = ReadCapabilities(sets, "bounding"),
                          .effective = ReadCapabilities(sets, "effective"),
                          .permitted = ReadCapabilities(sets, "permitted"),
                          .inheritable = ReadCapabilities(sets, "inheritable"),
                          .ambient = ReadCapabilities(sets, "ambient")};
  for (const JsonReader& limit : reader.Objects("rlimits")) {
    const Name* name = FindName(kRlimits, limit.Text("type"));
    if (name == nullptr) {
      limit.Wrong("type", "is not the name of a limit");
      continue;
    }
    process.rlimits.push_back({static_cast<int>(name->value),
                               static_cast<uint64_t>(limit.Number("soft")),
                               static_cast<uint64_t>(limit.Number("hard"))});
  }
  process.no_new_privileges = reader.Flag("noNewPrivileges");
  if (reader.Has("oomScoreAdj")) {
    process.oom_score_adj = static_cast<int>(reader.Number("oomScoreAdj"));
  }
  for (const char* key : {"apparmorProfile", "selinuxLabel"}) {
    const std::string label = reader.Text(key);
    if (!label.empty() && label != "unconfined") reader.Refuse(key, "not supported on this host");
  }
  if (reader.Has("scheduler")) reader.Refuse("scheduler", "not supported");
  return process;
}

std::vector<OciHook> ReadHooks(const JsonReader& reader, absl::string_view kind) {
  std::vector<OciHook> hooks;
  for (const JsonReader& entry : reader.Objects(kind)) {
    OciHook hook{
        .path = entry.Text("path"),
        .args = entry.Texts("args"),
        .env = entry.Texts("env"),
        .timeout_s = static_cast<int>(std::clamp<int64_t>(entry.Number("timeout"), 0, 86400))};
    if (hook.path.empty() || hook.path[0] != '/') entry.Wrong("path", "is not an absolute path");
    if (entry.Has("timeout") && hook.timeout_s == 0) entry.Wrong("timeout", "is not positive");
    if (hook.args.empty()) hook.args.push_back(hook.path);
    hooks.push_back(std::move(hook));
  }
  return hooks;
}

CgroupLimits ReadResources(const JsonReader& reader) {
  CgroupLimits limits;
  const JsonReader memory = reader.Object("memory");
  limits.memory_bytes = memory.Number("limit");
  limits.memory_swap_bytes = memory.Number("swap");
  limits.memory_reservation_bytes = memory.Number("reservation");
  limits.oom_kill_disable = memory.Flag("disableOOMKiller");
  const JsonReader cpu = reader.Object("cpu");
  limits.cpu_shares = cpu.Number("shares");
  limits.cpu_quota_us = cpu.Number("quota");
  limits.cpu_period_us = cpu.Number("period");
  limits.cpuset_cpus = cpu.Text("cpus");
  limits.cpuset_mems = cpu.Text("mems");
  const JsonReader pids = reader.Object("pids");
  // Zero and less are "no limit" with the other runtimes too.
  if (pids.Has("limit")) limits.pids_limit = pids.Number("limit") > 0 ? pids.Number("limit") : -1;
  limits.blkio_weight = static_cast<uint32_t>(
      std::clamp<int64_t>(reader.Object("blockIO").Number("weight"), 0, 1000));
  // The rules end in what is allowed: either everything, or what containers usually have.
  for (const JsonReader& rule : reader.Objects("devices")) {
    const std::string type = rule.Text("type");
    const bool every = (type.empty() || type == "a") && !rule.Has("major") && !rule.Has("minor");
    if (every) limits.all_devices = rule.Flag("allow");
  }
  return limits;
}

OciDevice ReadDevice(const JsonReader& reader) {
  const std::string type = reader.Text("type");
  OciDevice device{.path = reader.Text("path"),
                   .mode = static_cast<uint32_t>(reader.Number("fileMode", 0666) & 07777),
                   .major = static_cast<uint32_t>(reader.Number("major")),
                   .minor = static_cast<uint32_t>(reader.Number("minor")),
                   .uid = static_cast<uint32_t>(reader.Number("uid")),
                   .gid = static_cast<uint32_t>(reader.Number("gid"))};
  if (type == "c" || type == "u") {
    device.mode |= S_IFCHR;
  } else if (type == "b") {
    device.mode |= S_IFBLK;
  } else if (type == "p") {
    device.mode |= S_IFIFO;
  } else {
    reader.Wrong("type", "is not one of c, u, b and p");
  }
  if (device.path.empty() || device.path[0] != '/') reader.Wrong("path", "is not absolute");
  return device;
}

void ReadNamespaces(const JsonReader& linux_part, OciConfig& config) {
  for (const JsonReader& entry : linux_part.Objects("namespaces")) {
    const Name* name = FindName(kNamespaces, entry.Text("type"));
    if (name == nullptr) {
      entry.Wrong("type", "is not a kind of namespace");
    } else if (name->value == 0 || name->value == CLONE_NEWUSER) {
      entry.Refuse("type", absl::StrCat(name->text, " namespaces are not supported"));
    } else if (config.Namespace(name->value) != nullptr) {
      entry.Wrong("type", "is there twice");
    } else {
      config.namespaces.push_back({name->value, entry.Text("path")});
    }
  }
  if (config.Namespace(CLONE_NEWNS) == nullptr || !config.Namespace(CLONE_NEWNS)->path.empty()) {
    linux_part.Refuse("namespaces", "a container without a mount namespace of its own");
  }
}

void ReadLinux(const JsonReader& reader, OciConfig& config) {
  ReadNamespaces(reader, config);
  for (const JsonReader& entry : reader.Objects("devices")) {
    config.devices.push_back(ReadDevice(entry));
  }
  config.cgroups_path = reader.Text("cgroupsPath");
  config.limits = ReadResources(reader.Object("resources"));
  config.sysctls = reader.TextMap("sysctl");
  config.seccomp = reader.Raw("seccomp");
  config.masked_paths = reader.Texts("maskedPaths");
  config.read_only_paths = reader.Texts("readonlyPaths");
  const std::string propagation = reader.Text("rootfsPropagation");
  if (const Name* name = FindName(kPropagations, propagation); name != nullptr) {
    config.root_propagation = name->value;
  } else if (!propagation.empty()) {
    reader.Wrong("rootfsPropagation", "is not a kind of propagation");
  }
  for (const char* key : {"uidMappings", "gidMappings"}) {
    if (!reader.Objects(key).empty()) reader.Refuse(key, "user namespaces are not supported");
  }
  for (const char* key : {"intelRdt", "timeOffsets"}) {
    if (reader.Has(key)) reader.Refuse(key, "not supported");
  }
}

}  // namespace

const OciNamespace* OciConfig::Namespace(uint64_t flag) const {
  for (const OciNamespace& entry : namespaces) {
    if (entry.flag == flag) return &entry;
  }
  return nullptr;
}

absl::StatusOr<OciConfig> ParseOciConfig(absl::string_view text) {
  ASSIGN_OR_RETURN(const boost::json::value document, ParseJson(text, kMaxConfigBytes));
  absl::Status error;
  const JsonReader reader(&document, "", &error);
  OciConfig config;
  config.version = reader.Text("ociVersion");
  if (!absl::StartsWith(config.version, "1.")) {
    reader.Wrong("ociVersion", absl::StrCat("is \"", config.version, "\", not 1.x"));
  }
  config.process = ReadProcess(reader.Object("process"));
  config.root = reader.Object("root").Text("path");
  if (config.root.empty()) reader.Wrong("root.path", "is missing");
  config.read_only_root = reader.Object("root").Flag("readonly");
  config.hostname = reader.Text("hostname");
  config.domainname = reader.Text("domainname");
  for (const JsonReader& mount : reader.Objects("mounts")) {
    config.mounts.push_back({mount.Text("destination"), mount.Text("type"), mount.Text("source"),
                             mount.Texts("options")});
    std::string& destination = config.mounts.back().destination;
    // Allowed by old versions of the spec, and what crun and runc take it for.
    if (!absl::StartsWith(destination, "/")) destination = absl::StrCat("/", destination);
  }
  for (const char* kind : {"prestart", "createRuntime", "createContainer", "startContainer",
                           "poststart", "poststop"}) {
    config.hooks[kind] = ReadHooks(reader.Object("hooks"), kind);
  }
  for (auto& [key, value] : reader.TextMap("annotations")) config.annotations[key] = value;
  if (!reader.Has("linux")) reader.Wrong("linux", "is missing");
  ReadLinux(reader.Object("linux"), config);
  if (!config.hostname.empty() && config.Namespace(CLONE_NEWUTS) == nullptr) {
    reader.Wrong("hostname", "cannot be set without a UTS namespace");
  }
  if (!error.ok()) return error;
  return config;
}

absl::StatusOr<OciProcess> ParseOciProcess(absl::string_view text) {
  ASSIGN_OR_RETURN(const boost::json::value document, ParseJson(text, kMaxConfigBytes));
  absl::Status error;
  OciProcess process = ReadProcess(JsonReader(&document, "process", &error));
  if (!error.ok()) return error;
  return process;
}

absl::StatusOr<CgroupLimits> ParseOciResources(absl::string_view text) {
  ASSIGN_OR_RETURN(const boost::json::value document, ParseJson(text, kMaxConfigBytes));
  absl::Status error;
  CgroupLimits limits = ReadResources(JsonReader(&document, "resources", &error));
  if (!error.ok()) return error;
  return limits;
}

}  // namespace slipway::agent
