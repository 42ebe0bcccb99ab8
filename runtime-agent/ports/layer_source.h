#ifndef RUNTIME_AGENT_PORTS_LAYER_SOURCE_H_
#define RUNTIME_AGENT_PORTS_LAYER_SOURCE_H_

#include <string>

#include "absl/status/statusor.h"

namespace slipway::agent {

// Where layers come from: the image service of this host. Implementations are thread-safe.
class LayerSource {
 public:
  virtual ~LayerSource() = default;

  // Path of the layer's EROFS file, which does not change. NotFound names the layer; Unavailable
  // when nobody answers.
  virtual absl::StatusOr<std::string> LayerPath(const std::string& diff_id) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_PORTS_LAYER_SOURCE_H_
