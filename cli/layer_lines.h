#ifndef CLI_LAYER_LINES_H_
#define CLI_LAYER_LINES_H_

#include <string>
#include <vector>

#include "slipway/image/v1/image.pb.h"

namespace slipway::cli {

// A line on stderr for each layer of a pull or push: redrawn in place on a terminal, printed when
// its phase changes elsewhere. Not thread-safe.
class LayerLines {
 public:
  explicit LayerLines(bool terminal) : terminal_(terminal) {}

  void Update(const image::v1::PullLayerProgress& progress);

 private:
  static std::string Line(const image::v1::PullLayerProgress& progress);

  const bool terminal_;
  std::vector<image::v1::PullLayerProgress> layers_;
};

}  // namespace slipway::cli

#endif  // CLI_LAYER_LINES_H_
