#ifndef IMAGE_SERVICE_OCI_JSON_IMAGE_FORMAT_H_
#define IMAGE_SERVICE_OCI_JSON_IMAGE_FORMAT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/ports/image_format.h"

namespace slipway::image {

// A layer count above this is refused, as Docker does (overlayfs would refuse it later).
inline constexpr size_t kMaxLayers = 127;

// ImageFormat on Boost.JSON. Thread-safe.
class JsonImageFormat : public ImageFormat {
 public:
  absl::StatusOr<ManifestOrIndex> ParseManifest(absl::string_view json,
                                                absl::string_view media_type) override;
  absl::StatusOr<ImageDescription> ParseConfig(absl::string_view json) override;
  absl::StatusOr<std::vector<ArchiveEntry>> ParseArchive(absl::string_view json) override;
  std::string WriteConfig(const ImageDescription& description) override;
  std::string WriteManifest(const Manifest& manifest) override;
  std::string WriteIndex(const std::vector<IndexEntry>& entries) override;
  std::string WriteArchive(const std::vector<ArchiveEntry>& entries) override;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_OCI_JSON_IMAGE_FORMAT_H_
