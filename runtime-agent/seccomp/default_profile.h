#ifndef RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
#define RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_

namespace slipway::agent {

// The default profile as it was installed when this was built (Apache-2.0,
// github.com/containers/common).
extern const char kEmbeddedSeccompProfile[];

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_DEFAULT_PROFILE_H_
