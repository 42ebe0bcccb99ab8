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
  std::optional<int64_t> shared_size_bytes;  // in layers that other images have too; when asked for
};

struct ListFilter {
  std::vector<std::string> references;  // globs; empty: all
  std::vector<std::string> labels;      // "key" or "key=value"
  std::optional<bool> dangling;
  std::string before;         // older than this image
  std::string since;          // newer than this image
  int64_t until_unix_ns = 0;  // created before; 0: any time
  bool all = false;           // also nameless images that others were committed on
  bool shared_size = false;
};

struct PruneFilter {
  bool all = false;  // also those with a tag
  std::vector<std::string> labels;
  std::vector<std::string> not_labels;  // images that have one of these stay
  int64_t until_unix_ns = 0;            // created before; 0: any time
};

struct DiskUsage {
  std::vector<ImageView> images;  // with shared sizes
  int64_t layers_size_bytes = 0;  // files of all layers, each once, as Docker counts
  int64_t blob_bytes = 0;
  int64_t layer_file_bytes = 0;
};

struct PutImageCommand {
  ImageRecord record;
  std::vector<LayerLease> layers;          // bottom first, of record.layers
  std::vector<ImageReference> references;  // tags and digests that shall point to it
  std::string repository;                  // "<domain>/<path>" that has all the layers' blobs
  std::string action;                      // event: "pull", "load", "import"; empty: none
  std::string actor;                       // event; empty: the image's id
  std::string name;                        // event attribute "name"
  std::string hold;                        // that keeps the image, where it is open
};

// What a registry got for a blob.
struct SentBlob {
  Digest digest;
  int64_t size_bytes = 0;
};

struct PutImageOutcome {
  std::shared_ptr<const Image> image;
  bool changed = false;  // something was not already so
};

struct RemoveCommand {
  std::string reference;
  bool force = false;
  bool keep_parents = false;  // nameless images that this one was committed on stay
  // Who of its owners runs; nothing: each of them may.
  std::optional<std::set<std::string>> running_owners;
};

struct RemoveOutcome {
  std::vector<std::string> untagged;
  std::vector<std::string> deleted;
  int64_t freed_bytes = 0;  // of layers, as Docker counts
};

// Whether `labels` have "key" or "key=value".
bool HasLabel(const std::map<std::string, std::string>& labels, absl::string_view wanted);

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

  // Before an orderly stop, when no work is under way: all is on disk then, and the next start need
  // not verify it.
  void Close();

  // Reads. `reference` is a name, an id, or a unique prefix of an id; NotFound says "No such
  // image".
  absl::StatusOr<ImageView> Get(absl::string_view reference) const;
  absl::StatusOr<std::vector<ImageView>> List(const ListFilter& filter) const;
  DiskUsage Usage() const;
  absl::StatusOr<Layer> FindLayer(const Digest& diff_id) const;
  EventLog& events() { return events_; }
  // An image's documents as they are kept.
  absl::StatusOr<ImageRecord> Record(const Digest& id) const;
  // The tags of a repository with the images that they point to, sorted.
  std::vector<std::pair<ImageReference, Digest>> Tags(const std::string& name) const;

  // Layers. A lease on a complete layer, when there is one.
  std::optional<LayerLease> LeaseLayer(const Digest& blob);
  // The same for one that may be damaged.
  std::optional<LayerLease> LeaseForRepair(const Digest& blob);
  std::vector<Digest> Blobs(bool only_damaged) const;
  // The blob is not what it should be: it is neither sent nor taken for a pull until AddLayer
  // brings it anew. The layer file, where there is one, stays in use.
  void MarkDamaged(const Digest& blob);
  // Its files have been verified and synced.
  void MarkWhole(const Digest& blob);
  // Records a complete layer, also in place of a damaged one. `commit` gives the files their names;
  // it runs while nothing else changes, with true when the layer file itself exists already (made
  // from another blob).
  absl::StatusOr<LayerLease> AddLayer(const Layer& layer,
                                      const std::function<absl::Status(bool)>& commit);
  // The layer file made from `blob` is on disk now.
  void MarkSynced(const Digest& blob);
  // Removes those of `blobs` that no image uses and no work holds.
  void DropUnused(const std::vector<Digest>& blobs);

  // Changes.
  absl::StatusOr<PutImageOutcome> Put(PutImageCommand command);
  // The image is under `reference` in its registry now, with this manifest and all of its layers:
  // those with a split as the blobs that `gzipped` says.
  absl::Status RecordPush(const Digest& id, const ImageReference& reference, const Digest& manifest,
                          const std::map<Digest, SentBlob>& gzipped);
  // An image with layers that were made here, all whole: whoever pulls it has it already. Its
  // record and its layers, bottom first.
  struct OwnImage {
    ImageRecord record;
    std::vector<LayerLease> layers;
  };
  absl::StatusOr<std::optional<OwnImage>> LeaseOwn(const Digest& id);
  absl::Status Tag(absl::string_view source, absl::string_view target);
  absl::StatusOr<RemoveOutcome> Remove(const RemoveCommand& command);
  // Removes what nothing uses and the filter lets go.
  absl::StatusOr<RemoveOutcome> Prune(const PruneFilter& filter);
  absl::StatusOr<ImageView> Acquire(absl::string_view reference, absl::string_view owner);
  absl::Status Release(absl::string_view owner);
  std::vector<std::string> Owners() const;

  // Holds keep images for work that goes on for a while: they are only in memory, and an image that
  // is made on one that is held is held too. AlreadyExists.
  absl::Status OpenHold(const std::string& hold);
  void CloseHold(const std::string& hold);
  // Get, and the image stays until the hold is closed. One that is not open does nothing.
  absl::StatusOr<ImageView> Hold(absl::string_view reference, const std::string& hold);

 private:
  friend class LayerLease;

  struct ImageEntry {
    std::shared_ptr<const Image> image;
    std::set<std::string> references;  // full strings
    std::set<std::string> owners;
    std::set<std::string> holds;

    bool in_use() const { return !owners.empty() || !holds.empty(); }
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
    bool damaged = false;   // its files are not whole
  };

  Catalog(MetadataStore& metadata, ContentStore& content, ImageFormat& format,
          ImageMetrics& metrics, std::vector<ImageEvent> events)
      : metadata_(metadata),
        content_(content),
        format_(format),
        metrics_(metrics),
        events_(std::move(events)) {}

  absl::Status Restore(MetadataSnapshot snapshot);
  absl::Status RestoreLayers(std::vector<Layer> layers, bool verify);
  absl::Status SweepFiles();
  absl::Status RestoreImage(ImageRecord record);
  void RestoreReferences(const MetadataSnapshot& snapshot);

  absl::StatusOr<Image> BuildImage(const ImageRecord& record) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Digest> Resolve(absl::string_view reference) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  ImageView View(const ImageEntry& entry) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool Matches(const ListFilter& filter, ImageView& view) const;
  bool HasChildren(const Digest& id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // How many images have each chain of layers.
  std::map<Digest, int> ChainUses() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void TakeOut(const Digest& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void InsertImage(std::shared_ptr<const Image> image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PointReference(const ImageReference& reference, const Digest& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropReference(const std::string& full) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::StatusOr<PutImageOutcome> PutImage(PutImageCommand& command, std::vector<Digest>& replaced);
  // These layers are known to be in the repository.
  void StageRepository(const std::vector<Digest>& blobs, const std::string& repository,
                       MetadataBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckRemovable(const RemoveCommand& command, const ImageEntry& entry,
                              bool by_id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  std::vector<std::string> ReferencesToDrop(absl::string_view reference, const ImageEntry& entry,
                                            bool by_id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Images that go when `id` does: itself and the nameless ones below it.
  std::vector<Digest> Lineage(const Digest& id, bool keep_parents) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Adds the images' removal to `batch`; returns the layers that it frees.
  std::vector<Layer> StageDelete(const std::vector<Digest>& ids, MetadataBatch& batch,
                                 RemoveOutcome& outcome) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // What of a removal's decisions is not in its batch.
  struct Removal {
    std::vector<Layer> freed;
    std::optional<Digest> retired;  // goes from under its owners
  };
  absl::StatusOr<Removal> StageRemove(const RemoveCommand& command, MetadataBatch& batch,
                                      RemoveOutcome& outcome) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Removed images that the last of their owners has left.
  std::vector<Digest> Abandoned() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::Status RemoveAbandoned() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void ApplyRemove(const MetadataBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes a layer file again that a power cut may have left incomplete.
  absl::Status Rebuild(Layer& layer);
  // Takes the files of layers away whose records are gone.
  void RemoveFiles(const std::vector<Layer>& layers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // By a layer that is whole, or by any: containers go on with the file of a damaged one.
  bool LayerFileUsed(const Digest& diff_id, bool whole) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ReleaseLease(const Digest& blob);
  // Whether putting `command` changes nothing.
  bool IsUpToDate(const PutImageCommand& command) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Keeps a new image for who keeps what it was made on, and for the command's own hold.
  void TakeHolds(const PutImageCommand& command) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
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
  // Removed by force from under containers that do not run: no image any more, but its layers stay
  // until the last of these is gone.
  std::map<Digest, ImageEntry> retired_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ReferenceEntry> references_ ABSL_GUARDED_BY(mu_);
  std::map<Digest, LayerEntry> layers_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::vector<Digest>> owners_ ABSL_GUARDED_BY(mu_);
  std::map<Digest, int> children_ ABSL_GUARDED_BY(mu_);  // images by what they were committed on
  std::set<std::string> holds_ ABSL_GUARDED_BY(mu_);     // that are open
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_CATALOG_H_
