#ifndef RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
#define RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_

#include <cstddef>

namespace slipway::agent {

// The default seccomp profile as it was on the machine that built this: Debian's package
// golang-github-containers-common, Apache-2.0, containers/common authors. Not NUL-terminated.
extern const char kEmbeddedSeccompProfile[];
extern const size_t kEmbeddedSeccompProfileSize;

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
