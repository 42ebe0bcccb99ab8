#ifndef IMAGE_SERVICE_LAYER_ENTRY_PATH_H_
#define IMAGE_SERVICE_LAYER_ENTRY_PATH_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/layer_limits.h"

namespace slipway::image {

// The components of a name from a tar below the layer's root: leading slashes, "." and empty
// components are dropped, ".." takes back the component before it. Empty for the root itself. The
// views point into `name`. InvalidArgument for a name that leads out of the root or passes a limit.
absl::StatusOr<std::vector<absl::string_view>> ParseEntryPath(absl::string_view name,
                                                              const LayerLimits& limits);

// What a name means by the whiteout rules of the OCI image specification (layer.md).
enum class EntryRole {
  kContent,
  kWhiteout,  // ".wh.NAME": NAME of the layers below is gone
  kOpaque,    // ".wh..wh..opq": everything of the layers below in this directory is gone
  kIgnored,   // other names with ".wh..wh.": bookkeeping of the aufs storage driver
};

// For kWhiteout the last component becomes NAME, for kOpaque it is removed. InvalidArgument for a
// whiteout of nothing, and for an entry below a whiteout.
absl::StatusOr<EntryRole> ClassifyEntry(std::vector<absl::string_view>* components);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_ENTRY_PATH_H_
