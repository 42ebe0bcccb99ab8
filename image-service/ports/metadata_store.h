#ifndef IMAGE_SERVICE_PORTS_METADATA_STORE_H_
#define IMAGE_SERVICE_PORTS_METADATA_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image-service/domain/digest.h"
#include "image-service/domain/image.h"

namespace slipway::image {

struct ImageEvent {
  uint64_t sequence = 0;
  int64_t time_unix_ns = 0;
  std::string action;
  std::string actor_id;
  std::map<std::string, std::string> attributes;
};

struct LayerReference {
  Digest blob;
  Digest diff_id;
  std::string media_type;
};

// An image as it is kept: its documents byte for byte and where its layers are.
struct ImageRecord {
  Digest id;
  std::string config_json;
  std::string manifest_json;
  Digest manifest_digest;
  std::string manifest_media_type;
  std::vector<LayerReference> layers;  // bottom first
  int64_t last_tagged_unix_ns = 0;
  Digest parent;                    // empty: none known
  std::string committed_container;  // empty: not of a commit
  bool removed = false;             // kept for its owners alone
};

// Changes that become visible together or not at all.
struct MetadataBatch {
  std::vector<ImageRecord> put_images;
  std::vector<Digest> delete_images;
  std::vector<std::pair<std::string, Digest>> put_references;  // full string -> image id
  std::vector<std::string> delete_references;
  std::vector<Layer> put_layers;  // by blob digest
  std::vector<Digest> delete_layers;
  std::vector<std::pair<std::string, std::vector<Digest>>> put_owners;
  std::vector<std::string> delete_owners;
  std::vector<ImageEvent> put_events;
  uint64_t delete_events_through = 0;  // sequence, inclusive; 0: none
  // The mark of an orderly stop during this boot of the host; an empty one takes it away.
  std::optional<std::string> clean_shutdown_boot_id;
};

struct MetadataSnapshot {
  std::vector<ImageRecord> images;
  std::vector<std::pair<std::string, Digest>> references;
  std::vector<Layer> layers;
  std::vector<std::pair<std::string, std::vector<Digest>>> owners;
  std::vector<ImageEvent> events;      // by sequence
  std::string clean_shutdown_boot_id;  // empty: the last run did not stop in order
};

// Where the metadata survives restarts. Thread-safe.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;
  // Everything; DataLoss names a record that cannot be read.
  virtual absl::StatusOr<MetadataSnapshot> Load() = 0;
  // Returns when the batch is on disk. One that only says who owns what survives the death of this
  // process at once, and a power cut a little later: owners repeat after it what they hold.
  virtual absl::Status Apply(const MetadataBatch& batch) = 0;
  virtual absl::StatusOr<ImageRecord> ReadImage(const Digest& id) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_METADATA_STORE_H_
