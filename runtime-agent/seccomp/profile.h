#ifndef RUNTIME_AGENT_SECCOMP_PROFILE_H_
#define RUNTIME_AGENT_SECCOMP_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Docker's seccomp profile format (docs.docker.com/engine/security/seccomp, moby's
// profiles/seccomp/seccomp.go) as values. Thread-safe.
namespace slipway::agent {

struct SeccompArgument {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  std::string op;  // "SCMP_CMP_EQ"
};

// Conditions under which a rule applies.
struct SeccompFilter {
  std::vector<std::string> capabilities;
  std::vector<std::string> architectures;  // Go's names: "amd64"
  std::string minimum_kernel;              // "4.8"
};

struct SeccompRule {
  std::vector<std::string> names;
  std::string action;
  int64_t errno_return = -1;  // -1: the default, EPERM
  std::vector<SeccompArgument> arguments;
  SeccompFilter includes;
  SeccompFilter excludes;
};

struct SeccompArchitecture {
  std::string architecture;  // "SCMP_ARCH_X86_64"
  std::vector<std::string> sub_architectures;
};

struct SeccompProfile {
  std::string default_action;
  int64_t default_errno_return = -1;
  std::vector<SeccompArchitecture> architecture_map;
  std::vector<std::string> architectures;  // the older form
  std::vector<SeccompRule> rules;
};

// InvalidArgument says what is wrong. At most 1 MiB of JSON.
absl::StatusOr<SeccompProfile> ParseSeccompProfile(absl::string_view json);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_PROFILE_H_
