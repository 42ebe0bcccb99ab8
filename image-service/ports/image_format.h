#ifndef IMAGE_SERVICE_PORTS_IMAGE_FORMAT_H_
#define IMAGE_SERVICE_PORTS_IMAGE_FORMAT_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/image.h"

namespace slipway::image {

using ManifestOrIndex = std::variant<Manifest, std::vector<IndexEntry>>;

// The documents that describe images: Docker's image manifest version 2 schema 2, the OCI
// image-spec's manifest, index and config, and the manifest.json of `docker save`. Input is
// hostile: depth, memory and counts are bounded. Errors are InvalidArgument and name what is wrong.
// Thread-safe.
class ImageFormat {
 public:
  virtual ~ImageFormat() = default;
  // `media_type` is what the transport said; empty: from the document.
  virtual absl::StatusOr<ManifestOrIndex> ParseManifest(absl::string_view json,
                                                        absl::string_view media_type) = 0;
  virtual absl::StatusOr<ImageDescription> ParseConfig(absl::string_view json) = 0;
  virtual absl::StatusOr<std::vector<ArchiveEntry>> ParseArchive(absl::string_view json) = 0;

  virtual std::string WriteConfig(const ImageDescription& description) = 0;
  virtual std::string WriteManifest(const Manifest& manifest) = 0;
  // The index.json of an OCI layout and the manifest.json of a `docker save` archive.
  virtual std::string WriteIndex(const std::vector<IndexEntry>& entries) = 0;
  virtual std::string WriteArchive(const std::vector<ArchiveEntry>& entries) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_IMAGE_FORMAT_H_
