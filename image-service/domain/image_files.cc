#include "image-service/domain/image_files.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::image {

absl::StatusOr<OpenImage> OpenImageFiles(Catalog& catalog, const ContentStore& content,
                                         absl::string_view reference) {
  ASSIGN_OR_RETURN(const ImageView view, catalog.Get(reference));
  OpenImage image;
  std::vector<std::string> paths;
  for (const Layer& layer : view.image->layers) {
    std::optional<LayerLease> lease = catalog.LeaseLayer(layer.blob);
    if (!lease.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("layer ", layer.blob.ToString(), " of ", reference, " is damaged or gone"));
    }
    image.leases.push_back(*std::move(lease));
    // It hides everything below, which a mark on a layer's root does not say.
    if (layer.opaque_root) paths.clear();
    paths.push_back(content.LayerPath(layer.diff_id));
  }
  ASSIGN_OR_RETURN(image.tree, ImageTree::Open(paths));
  return image;
}

}  // namespace slipway::image
