#ifndef IMAGE_SERVICE_LAYER_DIRECTORY_WRITER_H_
#define IMAGE_SERVICE_LAYER_DIRECTORY_WRITER_H_

#include "absl/status/status.h"
#include "image-service/layer/erofs_image.h"
#include "image-service/layer/layer_tree.h"

namespace slipway::image {

// Seals the tree and writes its directories, and the link counts of inodes with several names, into
// the image. Not thread-safe.
absl::Status WriteDirectories(LayerTree* tree, ErofsImage* image);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_DIRECTORY_WRITER_H_
