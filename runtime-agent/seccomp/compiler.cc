#include "runtime-agent/seccomp/compiler.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/seccomp/condense.h"
#include "runtime-agent/seccomp/default_profile.h"
#include "runtime-agent/seccomp/profile.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxCachedPrograms = 64;
constexpr uint32_t kX32Bit = 0x40000000;

// libseccomp's tokens of these are the kernel's AUDIT_ARCH_*.
#if defined(__x86_64__)
constexpr char kNative[] = "SCMP_ARCH_X86_64";
constexpr char kGoName[] = "amd64";
constexpr uint32_t kKnownArchitectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
#elif defined(__aarch64__)
constexpr char kNative[] = "SCMP_ARCH_AARCH64";
constexpr char kGoName[] = "arm64";
constexpr uint32_t kKnownArchitectures[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
#error "name this architecture as libseccomp and Go call it"
#endif

struct ContextDeleter {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextDeleter>;
using NameSet = absl::flat_hash_set<std::string>;
using Program = std::vector<sock_filter>;

absl::StatusOr<uint32_t> ParseAction(const std::string& action, int64_t errno_return) {
  const uint16_t number = errno_return < 0 ? EPERM : static_cast<uint16_t>(errno_return);
  if (action == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (action == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(number);
  if (action == "SCMP_ACT_KILL" || action == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (action == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (action == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (action == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(number);
  if (action == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  return absl::InvalidArgumentError(absl::StrCat("unknown seccomp action \"", action, "\""));
}

absl::StatusOr<scmp_arg_cmp> ParseArgument(const SeccompArgument& argument) {
  static constexpr struct {
    absl::string_view name;
    scmp_compare op;
  } kOps[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
              {"SCMP_CMP_LT", SCMP_CMP_LT},
              {"SCMP_CMP_LE", SCMP_CMP_LE},
              {"SCMP_CMP_EQ", SCMP_CMP_EQ},
              {"SCMP_CMP_GE", SCMP_CMP_GE},
              {"SCMP_CMP_GT", SCMP_CMP_GT},
              {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  for (const auto& [name, op] : kOps) {
    if (argument.op != name) continue;
    return scmp_arg_cmp{argument.index, op, argument.value, argument.value_two};
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown operator \"", argument.op, "\""));
}

bool KernelIsAtLeast(const std::string& minimum) {
  utsname names{};
  int have[2] = {0, 0};
  int want[2] = {0, 0};
  uname(&names);
  std::sscanf(names.release, "%d.%d", &have[0], &have[1]);
  std::sscanf(minimum.c_str(), "%d.%d", &want[0], &want[1]);
  return std::pair(have[0], have[1]) >= std::pair(want[0], want[1]);
}

bool HasCapability(const std::string& name, uint64_t capabilities) {
  cap_value_t number = 0;
  return cap_from_name(absl::AsciiStrToLower(name).c_str(), &number) == 0 && number < 64 &&
         (capabilities >> number & 1) != 0;
}

bool Contains(const std::vector<std::string>& list, absl::string_view value) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& entry) { return entry == value; });
}

// moby's rule: every condition of `includes`, none of `excludes`.
bool Applies(const SeccompRule& rule, uint64_t capabilities) {
  const SeccompFilter& in = rule.includes;
  if (!in.architectures.empty() && !Contains(in.architectures, kGoName)) return false;
  for (const std::string& name : in.capabilities) {
    if (!HasCapability(name, capabilities)) return false;
  }
  if (!in.minimum_kernel.empty() && !KernelIsAtLeast(in.minimum_kernel)) return false;
  const SeccompFilter& out = rule.excludes;
  if (Contains(out.architectures, kGoName)) return false;
  for (const std::string& name : out.capabilities) {
    if (HasCapability(name, capabilities)) return false;
  }
  return out.minimum_kernel.empty() || !KernelIsAtLeast(out.minimum_kernel);
}

absl::Status AddArchitecture(void* context, const std::string& name) {
  const std::string lower =
      absl::AsciiStrToLower(absl::StripPrefix(absl::string_view(name), "SCMP_ARCH_"));
  const uint32_t token = seccomp_arch_resolve_name(lower.c_str());
  if (token == 0) {
    return absl::InvalidArgumentError(absl::StrCat("unknown architecture \"", name, "\""));
  }
  const int result = seccomp_arch_add(context, token);
  if (result != 0 && result != -EEXIST) {
    return ErrnoStatus(-result, absl::StrCat("seccomp_arch_add ", name));
  }
  return absl::OkStatus();
}

absl::Status AddArchitectures(void* context, const SeccompProfile& profile) {
  for (const SeccompArchitecture& entry : profile.architecture_map) {
    if (entry.architecture != kNative) continue;
    for (const std::string& name : entry.sub_architectures) {
      RETURN_IF_ERROR(AddArchitecture(context, name));
    }
  }
  for (const std::string& name : profile.architectures) {
    RETURN_IF_ERROR(AddArchitecture(context, name));
  }
  return absl::OkStatus();
}

absl::Status AddRule(void* context, const SeccompRule& rule, uint32_t default_action,
                     const NameSet* only) {
  ASSIGN_OR_RETURN(const uint32_t action, ParseAction(rule.action, rule.errno_return));
  if (action == default_action) return absl::OkStatus();
  std::vector<scmp_arg_cmp> all;
  bool one_argument_twice = false;
  for (const SeccompArgument& argument : rule.arguments) {
    ASSIGN_OR_RETURN(const scmp_arg_cmp comparison, ParseArgument(argument));
    one_argument_twice |= std::any_of(all.begin(), all.end(), [&](const scmp_arg_cmp& other) {
      return other.arg == comparison.arg;
    });
    all.push_back(comparison);
  }
  for (const std::string& name : rule.names) {
    if (only != nullptr && !only->contains(name)) continue;
    const int number = seccomp_syscall_resolve_name(name.c_str());
    // Profiles list system calls of every architecture and kernel.
    if (number == __NR_SCMP_ERROR) continue;
    int result = 0;
    if (one_argument_twice) {
      // As runc: conditions on one argument are alternatives.
      for (const scmp_arg_cmp& comparison : all) {
        result = seccomp_rule_add_array(context, action, number, 1, &comparison);
        if (result != 0) break;
      }
    } else {
      result = seccomp_rule_add_array(context, action, number, static_cast<unsigned>(all.size()),
                                      all.data());
    }
    if (result != 0 && result != -EEXIST) {
      return ErrnoStatus(-result, absl::StrCat("seccomp rule for ", name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Program> Export(void* context) {
  UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, "memfd_create for a seccomp program");
  const int result = seccomp_export_bpf(context, file.get());
  if (result != 0) return ErrnoStatus(-result, "export a seccomp program");
  struct stat info;
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "stat a seccomp program");
  Program program(static_cast<size_t>(info.st_size) / sizeof(sock_filter));
  if (pread(file.get(), program.data(), static_cast<size_t>(info.st_size), 0) != info.st_size) {
    return absl::InternalError("a seccomp program could not be read back");
  }
  return program;
}

// The highest number of a call that the profile names, on one architecture.
int LastKnownCall(const SeccompProfile& profile, uint64_t capabilities, uint32_t architecture) {
  int last = -1;
  for (const SeccompRule& rule : profile.rules) {
    if (!Applies(rule, capabilities)) continue;
    for (const std::string& name : rule.names) {
      last = std::max(last, seccomp_syscall_resolve_name_arch(architecture, name.c_str()));
    }
  }
  return last;
}

// In front of the program: ENOSYS for calls that came after the profile was written.
Program UnknownCalls(const SeccompProfile& profile, uint64_t capabilities,
                     uint32_t default_action) {
  const bool refuses = default_action == SCMP_ACT_KILL_THREAD ||
                       default_action == SCMP_ACT_KILL_PROCESS || default_action == SCMP_ACT_TRAP ||
                       (default_action & 0xffff0000u) == SCMP_ACT_ERRNO(0);
  Program stub;
  if (!refuses) return stub;
  for (const uint32_t architecture : kKnownArchitectures) {
    const int last = LastKnownCall(profile, capabilities, architecture);
    if (last < 0) continue;
    const auto add = [&stub](uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
      stub.push_back({code, if_true, if_false, value});
    };
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch), 0, 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, 4);
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr), 0, 0);
    add(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0);
    add(BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(last), 0, 1);
    add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
  }
  return stub;
}

// By the rules of the profile, or those of them that name one of `only`.
absl::StatusOr<Program> CompileRules(const SeccompProfile& profile, uint64_t capabilities,
                                     const NameSet* only) {
  ASSIGN_OR_RETURN(const uint32_t default_action,
                   ParseAction(profile.default_action, profile.default_errno_return));
  const Context context(seccomp_init(default_action));
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  RETURN_IF_ERROR(AddArchitectures(context.get(), profile));
  for (const SeccompRule& rule : profile.rules) {
    if (!Applies(rule, capabilities)) continue;
    RETURN_IF_ERROR(AddRule(context.get(), rule, default_action, only));
  }
  // A binary tree over the numbers: some 10 comparisons for a call instead of hundreds.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  ASSIGN_OR_RETURN(const Program program, Export(context.get()));
  Program whole;
  if (only == nullptr) whole = UnknownCalls(profile, capabilities, default_action);
  whole.insert(whole.end(), program.begin(), program.end());
  return whole;
}

// The calls that some rule decides by their arguments.
NameSet DecidedByArguments(const SeccompProfile& profile, uint64_t capabilities) {
  NameSet names;
  for (const SeccompRule& rule : profile.rules) {
    if (rule.arguments.empty() || !Applies(rule, capabilities)) continue;
    names.insert(rule.names.begin(), rule.names.end());
  }
  return names;
}

absl::StatusOr<Program> CompileProfile(absl::string_view json, uint64_t capabilities) {
  ASSIGN_OR_RETURN(const SeccompProfile profile, ParseSeccompProfile(json));
  ASSIGN_OR_RETURN(const Program whole, CompileRules(profile, capabilities, nullptr));
  const NameSet by_arguments = DecidedByArguments(profile, capabilities);
  ASSIGN_OR_RETURN(const Program rest, CompileRules(profile, capabilities, &by_arguments));
  Program condensed = Condense(whole, rest, kKnownArchitectures);
  if (condensed.size() > BPF_MAXINSNS) {
    return absl::InvalidArgumentError("the seccomp profile is too large for the kernel");
  }
  return condensed;
}

absl::string_view JsonOf(absl::string_view profile) {
  if (!profile.empty()) return profile;
  return absl::string_view(kEmbeddedSeccompProfile, kEmbeddedSeccompProfileSize);
}

}  // namespace

absl::StatusOr<std::vector<sock_filter>> CompileAsWritten(absl::string_view profile,
                                                          uint64_t capabilities) {
  ASSIGN_OR_RETURN(const SeccompProfile parsed, ParseSeccompProfile(JsonOf(profile)));
  return CompileRules(parsed, capabilities, nullptr);
}

absl::StatusOr<std::shared_ptr<const std::string>> LibseccompCompiler::Compile(
    absl::string_view profile, uint64_t capabilities) {
  if (profile == "unconfined") return std::make_shared<const std::string>();
  std::pair<std::string, uint64_t> key(std::string(profile), capabilities);
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = cache_.find(key); found != cache_.end()) return found->second;
  }
  const absl::StatusOr<Program> program = CompileProfile(JsonOf(profile), capabilities);
  if (!program.ok()) {
    return absl::Status(program.status().code(), absl::StrCat("decoding seccomp profile failed: ",
                                                              program.status().message()));
  }
  auto shared = std::make_shared<const std::string>(reinterpret_cast<const char*>(program->data()),
                                                    program->size() * sizeof(sock_filter));
  absl::MutexLock lock(&mutex_);
  if (cache_.size() >= kMaxCachedPrograms) cache_.clear();
  return cache_.emplace(std::move(key), std::move(shared)).first->second;
}

}  // namespace slipway::agent
