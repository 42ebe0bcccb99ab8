#ifndef RUNTIME_AGENT_PORTS_SECCOMP_COMPILER_H_
#define RUNTIME_AGENT_PORTS_SECCOMP_COMPILER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::agent {

// Seccomp profiles as kernel programs. Implementations are thread-safe.
class SeccompCompiler {
 public:
  virtual ~SeccompCompiler() = default;

  // The program (struct sock_filter[]) of a profile for a process with these capabilities; empty
  // for "unconfined". `profile`: "" is the default, otherwise JSON. InvalidArgument says what is
  // wrong with it. The same question again is answered from a cache.
  virtual absl::StatusOr<std::shared_ptr<const std::string>> Compile(absl::string_view profile,
                                                                     uint64_t capabilities) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_PORTS_SECCOMP_COMPILER_H_
