#ifndef IMAGE_SERVICE_DOMAIN_CATALOG_H_
#define IMAGE_SERVICE_DOMAIN_CATALOG_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "image-service/domain/event_log.h"
#include "image-service/domain/image.h"
#include "image-service/domain/image_reference.h"
#include "image-service/ports/content_store.h"
#include "image-service/ports/image_format.h"
#include "image-service/ports/metadata_store.h"
#include "image-service/ports/metrics.h"

namespace slipway::image {

class Catalog;

// Keeps a layer from being removed while work needs it. Move-only; not thread-safe.
class LayerLease {
 public:
  LayerLease() = default;
  LayerLease(LayerLease&& other) noexcept { *this = std::move(other); }
  LayerLease& operator=(LayerLease&& other) noexcept {
    Release();
    catalog_ = std::exchange(other.catalog_, nullptr);
    layer_ = std::move(other.layer_);
    return *this;
  }
  ~LayerLease() { Release(); }
  const Layer& layer() const { return layer_; }

 private:
  friend class Catalog;
  LayerLease(Catalog* catalog, Layer layer) : catalog_(catalog), layer_(std::move(layer)) {}
  void Release();
  Catalog* catalog_ = nullptr;
  Layer layer_;
};

// An image as a client sees it at one moment.
struct ImageView {
  std::shared_ptr<const Image> image;
  std::vector<std::string> repo_tags;     // familiar, sorted
  std::vector<std::string> repo_digests;  // familiar, sorted
  int owner_count = 0;
};

struct ListFilter {
  std::vector<std::string> references;  // globs; empty: all
  std::vector<std::string> labels;      // "key" or "key=value"
  std::optional<bool> dangling;
  std::string before;  // older than this image
  std::string since;   // newer than this image
};

struct PutImageCommand {
  ImageRecord record;
  std::vector<LayerLease> layers;          // bottom first, of record.layers
  std::vector<ImageReference> references;  // tags and digests that shall point to it
  std::string action;                      // event: "pull", "load", "import"
  std::string actor;                       // event; empty: the image's id
  std::string name;                        // event attribute "name"
};

struct PutImageOutcome {
  std::shared_ptr<const Image> image;
  bool changed = false;  // something was not already so
};

struct RemoveOutcome {
  std::vector<std::string> untagged;
  std::vector<std::string> deleted;
};

// All images, tags, layers and holders of this host. Reads come from memory; a change is on disk
// before it is seen. How often a blob or a layer file is used is not stored but follows from the
// image records, which change in one batch with the layers that they free: it cannot drift.
// Thread-safe.
class Catalog {
 public:
  // Loads everything and removes files that no record knows. The ports outlive the catalog.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(MetadataStore& metadata,
                                                       ContentStore& content, ImageFormat& format,
                                                       ImageMetrics& metrics);

  // Reads. `reference` is a name, an id, or a unique prefix of an id; NotFound says "No such
  // image".
  absl::StatusOr<ImageView> Get(absl::string_view reference) const;
  absl::StatusOr<std::vector<ImageView>> List(const ListFilter& filter) const;
  absl::StatusOr<Layer> FindLayer(const Digest& diff_id) const;
  EventLog& events() { return events_; }

  // Layers. A lease on a complete layer, when there is one.
  std::optional<LayerLease> LeaseLayer(const Digest& blob);
  // Records a complete layer. `commit` gives the files their names; it runs while nothing else
  // changes, with true when the layer file itself exists already (made from another blob).
  absl::StatusOr<LayerLease> AddLayer(const Layer& layer,
                                      const std::function<absl::Status(bool)>& commit);
  // The layer file made from `blob` is on disk now.
  void MarkSynced(const Digest& blob);
  // Removes those of `blobs` that no image uses and no work holds.
  void DropUnused(const std::vector<Digest>& blobs);

  // Changes.
  absl::StatusOr<PutImageOutcome> Put(PutImageCommand command);
  absl::Status Tag(absl::string_view source, absl::string_view target);
  absl::StatusOr<RemoveOutcome> Remove(absl::string_view reference, bool force);
  absl::StatusOr<ImageView> Acquire(absl::string_view reference, absl::string_view owner);
  absl::Status Release(absl::string_view owner);
  std::vector<std::string> Owners() const;

 private:
  friend class LayerLease;

  struct ImageEntry {
    std::shared_ptr<const Image> image;
    std::set<std::string> references;  // full strings
    std::set<std::string> owners;
  };
  struct ReferenceEntry {
    ImageReference reference;
    Digest image;
  };
  struct LayerEntry {
    Layer layer;
    int images = 0;
    int leases = 0;
    bool removing = false;  // its record is being deleted: no new leases
  };

  Catalog(MetadataStore& metadata, ContentStore& content, ImageFormat& format,
          ImageMetrics& metrics, std::vector<ImageEvent> events)
      : metadata_(metadata),
        content_(content),
        format_(format),
        metrics_(metrics),
        events_(std::move(events)) {}

  absl::Status Restore(MetadataSnapshot snapshot);
  absl::Status RestoreLayers(std::vector<Layer> layers);
  absl::Status RestoreImage(ImageRecord record);
  void RestoreReferences(const MetadataSnapshot& snapshot);

  absl::StatusOr<Image> BuildImage(const ImageRecord& record) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Digest> Resolve(absl::string_view reference) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  ImageView View(const ImageEntry& entry) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool Matches(const ListFilter& filter, ImageView& view) const;

  void InsertImage(std::shared_ptr<const Image> image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PointReference(const ImageReference& reference, const Digest& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropReference(const std::string& full) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::StatusOr<PutImageOutcome> PutImage(PutImageCommand& command, std::vector<Digest>& replaced);
  absl::Status CheckRemovable(absl::string_view reference, const ImageEntry& entry, bool by_id,
                              bool force) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  std::vector<std::string> ReferencesToDrop(absl::string_view reference, const ImageEntry& entry,
                                            bool by_id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Adds the image's removal to `batch`; returns the layers that it frees.
  std::vector<Layer> StageDelete(const ImageEntry& entry, MetadataBatch& batch,
                                 RemoveOutcome& outcome) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::vector<Layer>> StageRemove(absl::string_view reference, bool force,
                                                 MetadataBatch& batch, RemoveOutcome& outcome) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ApplyRemove(const MetadataBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes a layer file again that a power cut may have left incomplete.
  absl::Status Rebuild(Layer& layer);
  // Takes the files of layers away whose records are gone.
  void RemoveFiles(const std::vector<Layer>& layers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool LayerFileUsed(const Digest& diff_id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ReleaseLease(const Digest& blob);
  // Whether putting `command` changes nothing.
  bool IsUpToDate(const PutImageCommand& command) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void Report() const;

  MetadataStore& metadata_;
  ContentStore& content_;
  ImageFormat& format_;
  ImageMetrics& metrics_;
  EventLog events_;

  // Held by one change from its decision to its record on disk; readers never wait for it.
  absl::Mutex commit_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  mutable absl::Mutex mu_;
  std::map<Digest, ImageEntry> images_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ReferenceEntry> references_ ABSL_GUARDED_BY(mu_);
  std::map<Digest, LayerEntry> layers_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::vector<Digest>> owners_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_CATALOG_H_
