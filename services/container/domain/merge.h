#ifndef SERVICES_CONTAINER_DOMAIN_MERGE_H_
#define SERVICES_CONTAINER_DOMAIN_MERGE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/spec.h"

// What a container gets from its image and from its client, by Docker's rules (as `docker inspect`
// shows them). Pure functions, thread-safe.
namespace slipway::container {

struct MergedConfig {
  ImageConfig effective;
  std::string path;
  std::vector<std::string> args;
};

// InvalidArgument "no command specified" when neither names one.
absl::StatusOr<MergedConfig> MergeConfig(const ContainerSpec& spec, const ImageConfig& image);

// The environment of a process: PATH, HOSTNAME and, with a terminal, TERM, each replaced where
// `config_env` has it, then `config_env`.
std::vector<std::string> ProcessEnv(const std::vector<std::string>& config_env,
                                    absl::string_view hostname, bool tty);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_MERGE_H_
