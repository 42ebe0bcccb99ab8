#ifndef IMAGE_SERVICE_DOMAIN_SAVE_H_
#define IMAGE_SERVICE_DOMAIN_SAVE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/image_reference.h"
#include "image-service/ports/archive.h"
#include "image-service/ports/content_store.h"
#include "image-service/ports/image_format.h"
#include "image-service/ports/metrics.h"

namespace slipway::image {

// Writes images into one archive that `docker load` and tools for OCI layouts both take, as Docker
// does since version 25: every blob once, byte for byte as it is kept, so that a load gives back
// the same digests. Thread-safe; the parts outlive it.
class Saver {
 public:
  Saver(Catalog& catalog, ContentStore& content, ImageFormat& format, ImageMetrics& metrics,
        ArchiveMaker make)
      : catalog_(catalog),
        content_(content),
        format_(format),
        metrics_(metrics),
        make_(std::move(make)) {}

  // Blocks. `references` are names and ids; a name without a tag stands for all of its tags.
  // NotFound before anything is written.
  absl::Status Save(const std::vector<std::string>& references, const ByteSink& sink);

 private:
  struct Chosen {
    ImageRecord record;
    std::vector<ImageReference> names;
    std::vector<LayerLease> leases;
  };

  absl::Status DoSave(const std::vector<std::string>& references, const ByteSink& sink);
  absl::Status Choose(const std::string& text, std::vector<Chosen>& chosen);
  absl::Status Add(const Digest& id, const ImageReference* name, std::vector<Chosen>& chosen);
  absl::Status WriteBlobs(const std::vector<Chosen>& chosen, ArchiveWriter& archive);
  absl::Status WriteLayer(const Layer& layer, ArchiveWriter& archive);
  absl::Status WriteIndexes(const std::vector<Chosen>& chosen, ArchiveWriter& archive);

  Catalog& catalog_;
  ContentStore& content_;
  ImageFormat& format_;
  ImageMetrics& metrics_;
  const ArchiveMaker make_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_SAVE_H_
