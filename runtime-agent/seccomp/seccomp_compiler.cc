#include "runtime-agent/seccomp/seccomp_compiler.h"

#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/seccomp/default_profile.h"

namespace slipway::agent {
namespace {

namespace json = boost::json;

constexpr char kDefaultProfilePath[] = "/usr/share/containers/seccomp.json";
constexpr size_t kMaxProfileBytes = 1 << 20;
constexpr size_t kMaxRules = 4096;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("seccomp profile: ", what));
}

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

absl::string_view StringOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return "";
  return {value->get_string().data(), value->get_string().size()};
}

std::optional<uint64_t> NumberOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return static_cast<uint64_t>(value->get_int64());
  if (value->is_uint64()) return value->get_uint64();
  return std::nullopt;
}

const json::array* ArrayOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

const json::object* ObjectOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

absl::StatusOr<uint32_t> ActionOf(absl::string_view name, std::optional<uint64_t> errno_return) {
  const uint16_t error = static_cast<uint16_t>(errno_return.value_or(EPERM));
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(error);
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(error);
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  return Bad(absl::StrCat("unknown action \"", name, "\""));
}

absl::StatusOr<scmp_compare> CompareOf(absl::string_view name) {
  if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
  if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
  if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
  if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
  if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
  if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
  if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
  return Bad(absl::StrCat("unknown comparison \"", name, "\""));
}

// Debian's name of this architecture, as profiles have it in "arches".
constexpr absl::string_view kArchitectureName =
#if defined(__x86_64__)
    "amd64";
constexpr absl::string_view kNativeArchitecture = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
    "arm64";
constexpr absl::string_view kNativeArchitecture = "SCMP_ARCH_AARCH64";
#else
#error "add this architecture's names"
#endif

bool HasCapability(absl::string_view name, uint64_t capabilities) {
  cap_value_t value = 0;
  if (cap_from_name(absl::AsciiStrToLower(name).c_str(), &value) != 0) return false;
  return value >= 0 && value < 64 && (capabilities >> value & 1) != 0;
}

// "4.8" against what runs. A version that cannot be read never matches.
bool KernelIsAtLeast(absl::string_view wanted) {
  utsname name{};
  uname(&name);
  const auto parse = [](absl::string_view text) -> std::optional<std::pair<int, int>> {
    const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
    int major = 0, minor = 0;
    if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &major)) return std::nullopt;
    const size_t digits = std::min(parts[1].find_first_not_of("0123456789"), parts[1].size());
    if (!absl::SimpleAtoi(parts[1].substr(0, digits), &minor)) return std::nullopt;
    return std::make_pair(major, minor);
  };
  const auto want = parse(wanted), have = parse(name.release);
  return want.has_value() && have.has_value() && *have >= *want;
}

bool Contains(const json::array& array, absl::string_view text) {
  for (const json::value& value : array) {
    if (value.is_string() &&
        absl::string_view(value.get_string().data(), value.get_string().size()) == text) {
      return true;
    }
  }
  return false;
}

bool AnyCapability(const json::array& names, uint64_t capabilities) {
  for (const json::value& value : names) {
    if (value.is_string() && HasCapability(value.get_string().c_str(), capabilities)) return true;
  }
  return false;
}

bool AllCapabilities(const json::array& names, uint64_t capabilities) {
  for (const json::value& value : names) {
    if (!value.is_string() || !HasCapability(value.get_string().c_str(), capabilities)) {
      return false;
    }
  }
  return true;
}

// Docker's rule: every condition of "includes" must hold, and none of "excludes".
bool Applies(const json::object& rule, uint64_t capabilities) {
  if (const json::object* includes = ObjectOf(rule, "includes")) {
    const json::array* arches = ArrayOf(*includes, "arches");
    if (arches != nullptr && !arches->empty() && !Contains(*arches, kArchitectureName)) {
      return false;
    }
    const json::array* names = ArrayOf(*includes, "caps");
    if (names != nullptr && !AllCapabilities(*names, capabilities)) return false;
    const absl::string_view kernel = StringOf(*includes, "minKernel");
    if (!kernel.empty() && !KernelIsAtLeast(kernel)) return false;
  }
  if (const json::object* excludes = ObjectOf(rule, "excludes")) {
    const json::array* arches = ArrayOf(*excludes, "arches");
    if (arches != nullptr && Contains(*arches, kArchitectureName)) return false;
    const json::array* names = ArrayOf(*excludes, "caps");
    if (names != nullptr && AnyCapability(*names, capabilities)) return false;
    const absl::string_view kernel = StringOf(*excludes, "minKernel");
    if (!kernel.empty() && KernelIsAtLeast(kernel)) return false;
  }
  return true;
}

absl::StatusOr<std::vector<scmp_arg_cmp>> ArgumentsOf(const json::object& rule) {
  std::vector<scmp_arg_cmp> out;
  const json::array* arguments = ArrayOf(rule, "args");
  if (arguments == nullptr) return out;
  for (const json::value& value : *arguments) {
    const json::object* argument = value.if_object();
    if (argument == nullptr) return Bad("an element of \"args\" is no object");
    ASSIGN_OR_RETURN(const scmp_compare compare, CompareOf(StringOf(*argument, "op")));
    const uint64_t index = NumberOf(*argument, "index").value_or(6);
    if (index > 5 || out.size() >= 6) return Bad("a system call has the arguments 0 to 5");
    out.push_back({.arg = static_cast<unsigned>(index),
                   .op = compare,
                   .datum_a = NumberOf(*argument, "value").value_or(0),
                   .datum_b = NumberOf(*argument, "valueTwo").value_or(0)});
  }
  return out;
}

absl::Status AddRule(scmp_filter_ctx filter, const json::object& rule, uint32_t default_action) {
  ASSIGN_OR_RETURN(const uint32_t action,
                   ActionOf(StringOf(rule, "action"), NumberOf(rule, "errnoRet")));
  // libseccomp refuses rules that say what the default says.
  if (action == default_action) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<scmp_arg_cmp> arguments, ArgumentsOf(rule));
  std::vector<std::string> names;
  if (const json::array* list = ArrayOf(rule, "names")) {
    for (const json::value& name : *list) {
      if (!name.is_string()) return Bad("a name of a system call is no string");
      names.emplace_back(name.get_string().c_str());
    }
  }
  if (const absl::string_view name = StringOf(rule, "name"); !name.empty()) {
    names.emplace_back(name);
  }
  for (const std::string& name : names) {
    // Calls that this libseccomp or this architecture does not have are left out, as runc does.
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    const int result = seccomp_rule_add_array(
        filter, action, number, static_cast<unsigned>(arguments.size()), arguments.data());
    if (result != 0) return ErrnoStatus(-result, absl::StrCat("seccomp rule of ", name));
  }
  return absl::OkStatus();
}

absl::Status AddArchitectures(scmp_filter_ctx filter, const json::object& profile) {
  const auto add = [&](absl::string_view name) -> absl::Status {
    std::string plain = absl::AsciiStrToLower(name);
    if (plain.rfind("scmp_arch_", 0) == 0) plain.erase(0, 10);
    const uint32_t architecture = seccomp_arch_resolve_name(plain.c_str());
    if (architecture == 0) return Bad(absl::StrCat("unknown architecture \"", name, "\""));
    const int result = seccomp_arch_add(filter, architecture);
    if (result != 0 && result != -EEXIST) {
      return ErrnoStatus(-result, absl::StrCat("seccomp architecture ", plain));
    }
    return absl::OkStatus();
  };
  if (const json::array* maps = ArrayOf(profile, "archMap")) {
    for (const json::value& value : *maps) {
      const json::object* map = value.if_object();
      if (map == nullptr || StringOf(*map, "architecture") != kNativeArchitecture) continue;
      const json::array* subs = ArrayOf(*map, "subArchitectures");
      if (subs == nullptr) continue;
      for (const json::value& sub : *subs) {
        if (sub.is_string()) RETURN_IF_ERROR(add(sub.get_string().c_str()));
      }
    }
  }
  if (const json::array* names = ArrayOf(profile, "architectures")) {
    for (const json::value& name : *names) {
      if (name.is_string()) RETURN_IF_ERROR(add(name.get_string().c_str()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Export(scmp_filter_ctx filter) {
  const UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, "memfd_create for a seccomp program");
  const int result = seccomp_export_bpf(filter, file.get());
  if (result != 0) return ErrnoStatus(-result, "export the seccomp program");
  const off_t size = lseek(file.get(), 0, SEEK_END);
  std::string program(static_cast<size_t>(size), '\0');
  if (pread(file.get(), program.data(), program.size(), 0) != size) {
    return ErrnoStatus(EIO, "read the seccomp program");
  }
  return program;
}

absl::StatusOr<std::string> CompileProfile(const std::string& text, uint64_t capabilities) {
  if (text.size() > kMaxProfileBytes) return Bad("longer than 1 MiB");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  const json::value parsed = json::parse(text, error, {}, options);
  if (error) return Bad(error.message());
  const json::object* profile = parsed.if_object();
  if (profile == nullptr) return Bad("not a JSON object");
  ASSIGN_OR_RETURN(const uint32_t default_action, ActionOf(StringOf(*profile, "defaultAction"),
                                                           NumberOf(*profile, "defaultErrnoRet")));
  Filter filter(seccomp_init(default_action));
  if (filter == nullptr) return absl::ResourceExhaustedError("seccomp_init failed");
  RETURN_IF_ERROR(AddArchitectures(filter.get(), *profile));
  const json::array* rules = ArrayOf(*profile, "syscalls");
  if (rules != nullptr && rules->size() > kMaxRules) return Bad("more than 4096 rules");
  if (rules != nullptr) {
    for (const json::value& value : *rules) {
      const json::object* rule = value.if_object();
      if (rule == nullptr) return Bad("an element of \"syscalls\" is no object");
      if (!Applies(*rule, capabilities)) continue;
      RETURN_IF_ERROR(AddRule(filter.get(), *rule, default_action));
    }
  }
  // A binary tree over the call numbers instead of a chain: calls cost less (libseccomp 2.5).
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  return Export(filter.get());
}

}  // namespace

SeccompCompiler::SeccompCompiler() {
  absl::StatusOr<std::string> installed = ReadFile(kDefaultProfilePath, kMaxProfileBytes);
  default_profile_ = installed.ok() ? *std::move(installed) : kEmbeddedSeccompProfile;
}

absl::StatusOr<SeccompCompiler::Program> SeccompCompiler::Compile(const std::string& profile,
                                                                  uint64_t capabilities) {
  if (profile == "unconfined") return std::make_shared<const std::string>();
  const auto key = std::make_pair(profile, capabilities);
  {
    absl::MutexLock lock(&mu_);
    const auto found = cache_.find(key);
    if (found != cache_.end()) return found->second;
  }
  ASSIGN_OR_RETURN(std::string bytes,
                   CompileProfile(profile.empty() ? default_profile_ : profile, capabilities));
  auto program = std::make_shared<const std::string>(std::move(bytes));
  absl::MutexLock lock(&mu_);
  if (cache_.size() >= kMaxCached) cache_.clear();
  cache_[key] = program;
  return program;
}

}  // namespace slipway::agent
