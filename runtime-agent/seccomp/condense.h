#ifndef RUNTIME_AGENT_SECCOMP_CONDENSE_H_
#define RUNTIME_AGENT_SECCOMP_CONDENSE_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

// Shorter seccomp programs. The kernel translates a filter each time that a process installs it, at
// a cost by its length, and libseccomp gives every system call instructions of its own; but most
// decisions depend on the number alone, and are the same for long ranges of numbers. Pure, no
// state.
namespace slipway::agent {

enum class Decided : uint8_t {
  kYes,
  kByArguments,  // depends on more than architecture and number
  kUnknown,      // the program does what is not understood here
};

struct Decision {
  Decided decided = Decided::kUnknown;
  uint32_t action = 0;  // SECCOMP_RET_*
};

// What a program answers. Without `arguments_known` only `arch` and `nr` of the data are looked at.
Decision Decide(absl::Span<const sock_filter> program, const seccomp_data& data,
                bool arguments_known);

// A program that decides as `whole` does. `rest` must do so for calls that `whole` decides by their
// arguments, and for architectures (AUDIT_ARCH_*) that are not among `architectures`. It is `whole`
// itself where nothing is gained, or where it is not understood.
std::vector<sock_filter> Condense(absl::Span<const sock_filter> whole,
                                  absl::Span<const sock_filter> rest,
                                  absl::Span<const uint32_t> architectures);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_CONDENSE_H_
