#ifndef IMAGE_SERVICE_DOMAIN_IMPORT_H_
#define IMAGE_SERVICE_DOMAIN_IMPORT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "image-service/domain/image_reference.h"
#include "image-service/domain/layer_intake.h"
#include "image-service/ports/archive.h"
#include "image-service/ports/image_format.h"

namespace slipway::image {

struct ImportCommand {
  std::optional<ImageReference> reference;  // none: untagged
  std::string message;
  ImageConfig config;
  std::optional<Platform> platform;
  std::string source;
};

// Makes an image of one layer from the tar of a root file system. Thread-safe; the parts outlive
// it.
class Importer {
 public:
  Importer(IntakeParts parts, ImageFormat& format) : parts_(parts), format_(format) {}

  // Blocks. The new image's id.
  absl::StatusOr<Digest> Import(const ImportCommand& command, ByteSource& source);

 private:
  absl::StatusOr<Digest> DoImport(const ImportCommand& command, ByteSource& source);

  const IntakeParts parts_;
  ImageFormat& format_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_IMPORT_H_
