#ifndef IMAGE_SERVICE_DOMAIN_LOAD_SESSION_H_
#define IMAGE_SERVICE_DOMAIN_LOAD_SESSION_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/layer_intake.h"
#include "image-service/domain/load.h"
#include "image-service/domain/progress.h"
#include "image-service/ports/archive.h"
#include "image-service/ports/image_format.h"

namespace slipway::image {

// One archive being loaded. One thread.
class LoadSession {
 public:
  LoadSession(IntakeParts parts, ImageFormat& format, ProgressObserver& observer)
      : parts_(parts), format_(format), observer_(observer) {}

  absl::Status ReadMembers(ArchiveReader& archive);
  absl::StatusOr<std::vector<LoadedName>> PutImages();
  // Takes away the layers that no image came to use.
  void DropUnused();

 private:
  // An image that the archive describes, with layers in the order of its configuration.
  struct Found {
    Digest id;
    std::string config_json;
    ImageDescription description;
    std::vector<Digest> blobs;
    std::vector<std::string> media_types;  // empty: as the layers came in
    std::string manifest_json;             // empty: to be written
    Digest manifest_digest;
    std::string manifest_media_type;
    std::vector<ImageReference> names;
  };

  absl::Status ReadFile(ArchiveReader& archive, const std::string& path, int64_t size_bytes);
  absl::Status KeepDocument(const std::string& path, std::string text);

  // Follows links; the path of a file that is there, or NotFound.
  absl::StatusOr<std::string> Locate(const std::string& path) const;
  absl::StatusOr<std::string> Document(const std::string& path) const;
  absl::StatusOr<Digest> LayerAt(const std::string& path) const;

  absl::StatusOr<std::vector<Found>> FromDockerManifest(const std::string& json) const;
  absl::StatusOr<std::vector<Found>> FromIndex(const std::string& json) const;
  // Gives images of a manifest.json the manifests that an index.json beside it has for them.
  void AdoptManifests(const std::string& index_json, std::vector<Found>& images) const;
  absl::StatusOr<Found> FromOciManifest(const IndexEntry& entry) const;
  absl::Status SetConfig(Found& found, std::string config_json) const;
  absl::Status PutImage(Found& found, std::vector<LoadedName>& loaded);
  void WriteManifest(Found& found, const std::vector<LayerLease>& layers) const;

  IntakeParts parts_;
  ImageFormat& format_;
  ProgressObserver& observer_;
  std::map<std::string, std::string> documents_;  // path -> text
  std::map<std::string, Digest> layers_;          // path -> blob
  std::map<std::string, std::string> links_;      // path -> path
  std::map<Digest, LayerLease> leases_;           // by blob
  size_t document_bytes_ = 0;
  size_t members_ = 0;
};

// `path` within an archive without "." and "..", relative to `base`'s directory when it does not
// begin at the root. It never leads out: surplus ".." are dropped.
std::string ArchivePath(absl::string_view base, absl::string_view path);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_LOAD_SESSION_H_
