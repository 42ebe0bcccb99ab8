#ifndef RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
#define RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_

#include <cstddef>

namespace slipway::agent {

// default_profile.json: what dockerd 20.10 allows a container, found out call by call, with and
// without each capability (tests/e2e/test_seccomp.py asks both again). Not NUL-terminated.
extern const char kEmbeddedSeccompProfile[];
extern const size_t kEmbeddedSeccompProfileSize;

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
