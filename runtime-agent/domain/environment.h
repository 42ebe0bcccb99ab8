#ifndef RUNTIME_AGENT_DOMAIN_ENVIRONMENT_H_
#define RUNTIME_AGENT_DOMAIN_ENVIRONMENT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// The environment of a container's process as Docker makes it. Thread-safe.
namespace slipway::agent {

// PATH, HOSTNAME and, with a terminal, TERM come first unless `env` sets them. Of several entries
// with one name the last wins and keeps the first one's place; entries without '=' are dropped.
std::vector<std::string> ContainerEnvironment(const std::vector<std::string>& env,
                                              absl::string_view hostname, bool tty);

// The same without HOSTNAME, for exec: `env` is the container's followed by the exec's.
std::vector<std::string> ExecEnvironment(const std::vector<std::string>& env, bool tty);

// `env`, behind those of `defaults` whose name it does not have.
std::vector<std::string> WithDefaults(const std::vector<std::string>& env,
                                      const std::vector<std::string>& defaults);

// Adds HOME where nothing sets it.
void AddHome(absl::string_view home, std::vector<std::string>& env);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_ENVIRONMENT_H_
