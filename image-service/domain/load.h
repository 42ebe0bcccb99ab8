#ifndef IMAGE_SERVICE_DOMAIN_LOAD_H_
#define IMAGE_SERVICE_DOMAIN_LOAD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "image-service/domain/layer_intake.h"
#include "image-service/domain/progress.h"
#include "image-service/ports/archive.h"
#include "image-service/ports/image_format.h"

namespace slipway::image {

struct LoadedName {
  Digest image_id;
  std::string reference;  // familiar; empty: the archive gave no name
};

// Takes images out of `docker save` archives and OCI layout archives in one pass: what looks like a
// layer goes through the conversion as it comes, what looks like JSON is kept, and the two are
// matched when the archive has ended. Thread-safe; the parts outlive it.
class Loader {
 public:
  Loader(IntakeParts parts, ImageFormat& format, ArchiveOpener open)
      : parts_(parts), format_(format), open_(std::move(open)) {}

  // Blocks. All images of the archive, or an error: what was complete before it stays.
  absl::StatusOr<std::vector<LoadedName>> Load(ByteSource& source, ProgressObserver& observer);

 private:
  const IntakeParts parts_;
  ImageFormat& format_;
  const ArchiveOpener open_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_LOAD_H_
