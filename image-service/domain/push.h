#ifndef IMAGE_SERVICE_DOMAIN_PUSH_H_
#define IMAGE_SERVICE_DOMAIN_PUSH_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/image_reference.h"
#include "image-service/domain/progress.h"
#include "image-service/domain/transfer_slots.h"
#include "image-service/ports/content_store.h"
#include "image-service/ports/image_format.h"
#include "image-service/ports/metrics.h"
#include "image-service/ports/registry.h"

namespace slipway::image {

struct PushCommand {
  ImageReference reference;
  bool all_tags = false;  // of the reference's repository
  RegistryCredentials credentials;
};

struct PushedTag {
  std::string tag;
  Digest manifest_digest;
  int64_t manifest_size_bytes = 0;
};

// Hears of a push; called from several threads; must not block.
class PushObserver : public ProgressObserver {
 public:
  virtual void OnPushed(const PushedTag& pushed) = 0;
};

// Sends images to registries, byte for byte as they are kept: an image that was pulled has the same
// digest where it is pushed to. Layers that were made here are compressed on the way, always to the
// same bytes. Thread-safe; the parts outlive it.
class Pusher {
 public:
  Pusher(Registry& registry, Catalog& catalog, ContentStore& content, ImageFormat& format,
         ImageMetrics& metrics, int max_layers_at_once)
      : registry_(registry),
        catalog_(catalog),
        content_(content),
        format_(format),
        metrics_(metrics),
        slots_(max_layers_at_once) {}

  // Blocks. What the registry has is not sent; what another of its repositories is known to have is
  // mounted from there. A manifest goes after all that it names.
  absl::Status Push(const PushCommand& command, PushObserver& observer, Cancellation& cancel);

 private:
  struct Job;

  absl::Status DoPush(const PushCommand& command, PushObserver& observer, Cancellation& cancel);
  absl::StatusOr<std::vector<std::pair<ImageReference, Digest>>> Choose(
      const PushCommand& command) const;
  absl::Status PushImage(const ImageReference& reference, const Digest& id, Job& job);
  absl::Status PushLayers(const std::vector<LayerLease>& leases, Job& job);
  absl::Status PushLayer(const Layer& layer, Job& job);
  absl::Status PushSplitLayer(const Layer& layer, Job& job);
  // Whether the repository has the blob, or has taken it over from another.
  absl::StatusOr<bool> IsThere(const Layer& layer, const Digest& blob, Job& job);
  absl::StatusOr<bool> Mount(const Layer& layer, const Digest& blob, Job& job);
  absl::Status UploadLayer(const Layer& layer, const Digest& digest, BlobReader& blob, Job& job);
  // The image's manifest, with the layers as they were sent.
  absl::StatusOr<std::string> ManifestToSend(const ImageRecord& record, Job& job);
  absl::StatusOr<PushedTag> PushManifest(const ImageReference& reference, const ImageRecord& record,
                                         Job& job);

  Registry& registry_;
  Catalog& catalog_;
  ContentStore& content_;
  ImageFormat& format_;
  ImageMetrics& metrics_;
  TransferSlots slots_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_PUSH_H_
