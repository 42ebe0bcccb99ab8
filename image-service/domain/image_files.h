#ifndef IMAGE_SERVICE_DOMAIN_IMAGE_FILES_H_
#define IMAGE_SERVICE_DOMAIN_IMAGE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/catalog.h"
#include "image-service/layer/image_tree.h"
#include "image-service/ports/content_store.h"

namespace slipway::image {

// An image's files, and what keeps its layers from being removed meanwhile.
struct OpenImage {
  std::vector<LayerLease> leases;
  ImageTree tree;
};

// `reference` is a name, an id or a unique prefix of one. NotFound says "No such image".
absl::StatusOr<OpenImage> OpenImageFiles(Catalog& catalog, const ContentStore& content,
                                         absl::string_view reference);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_IMAGE_FILES_H_
