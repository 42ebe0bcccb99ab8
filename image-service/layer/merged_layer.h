#ifndef IMAGE_SERVICE_LAYER_MERGED_LAYER_H_
#define IMAGE_SERVICE_LAYER_MERGED_LAYER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// The tar of one layer that does to what is below it what several layer files do, one above the
// other: what a later one replaced or removed is not in it, and what they remove from below is
// whiteouts (OCI image-spec, layer.md). The same files give the same bytes. `layer_paths` is bottom
// first; the uppermost layers that hide everything below (LayerResult::opaque_root) come alone.
absl::Status WriteMergedLayer(const std::vector<std::string>& layer_paths,
                              const std::function<absl::Status(absl::string_view)>& sink);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_MERGED_LAYER_H_
