#ifndef IMAGE_SERVICE_STORE_FILE_CONTENT_STORE_H_
#define IMAGE_SERVICE_STORE_FILE_CONTENT_STORE_H_

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "image-service/ports/content_store.h"

namespace slipway::image {

// What images may take.
struct ContentLimits {
  // Of one layer after decompression.
  int64_t layer_bytes = int64_t{128} << 30;
  // Of all files of the store on its disk; zero: as much as there is room for.
  int64_t quota_bytes = 0;
};

// Content below one directory, all on one file system:
//
//   blobs/sha256/<hex>     bytes as the registry has them, complete and verified
//   layers/<hex>.erofs     the layer file of a diffID, and maybe a split (docs/tar-split.md) behind
//   it partial/<hex>          what arrived of a blob so far; a later pull goes on from there tmp/
//   blobs without a name yet, removed files; emptied at start
//
// Thread-safe.
class FileContentStore : public ContentStore {
 public:
  // Makes the directories.
  static absl::StatusOr<std::unique_ptr<FileContentStore>> Open(const std::string& root,
                                                                const ContentLimits& limits = {});
  ~FileContentStore() override;

  std::string LayerPath(const Digest& diff_id) const override;
  std::string BlobPath(const Digest& blob) const override;
  bool HasLayer(const Digest& diff_id, int64_t size_bytes) const override;
  bool HasBlob(const Digest& blob, int64_t size_bytes) const override;
  absl::StatusOr<std::unique_ptr<LayerSink>> NewLayer(const LayerSinkOptions& options) override;
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlob() override;
  absl::StatusOr<std::unique_ptr<BlobWriter>> ResumeBlob(const Digest& blob) override;
  absl::Status SyncLayer(const Digest& diff_id) override;
  absl::StatusOr<std::unique_ptr<BlobReader>> OpenBlob(const Digest& blob) override;
  std::string BootId() const override { return boot_id_; }
  absl::Status ReadBlob(const Layer& layer,
                        const std::function<absl::Status(absl::string_view)>& sink) override;
  absl::StatusOr<GzippedTar> GzipTar(const Layer& layer, const Cancellation& cancel) override;
  absl::Status RemoveLayer(const Digest& diff_id) override;
  absl::Status RemoveBlob(const Digest& blob) override;
  absl::Status RemovePartial(const Digest& blob) override;
  void EmptyTrash() override;
  int64_t PartialBytes() const override;
  absl::StatusOr<int> Sweep(const std::function<bool(const Digest&)>& knows_layer,
                            const std::function<bool(const Digest&)>& knows_blob) override;

 private:
  FileContentStore(std::string root, std::string boot_id, const ContentLimits& limits)
      : root_(std::move(root)),
        boot_id_(std::move(boot_id)),
        limits_(limits),
        reaper_([this] { RunReaper(); }) {}
  // What the store has on the disk.
  int64_t UsedBytes() const;
  // Unlinking a large file takes the file system a while: a thread of its own does it.
  void RunReaper();
  // The tar of a layer with a split, verified at its end.
  absl::Status ReadTar(const Layer& layer,
                       const std::function<absl::Status(absl::string_view)>& sink);
  // Into tmp/, from where EmptyTrash takes it.
  absl::Status Trash(const std::string& path, const std::string& name);

  const std::string root_;
  const std::string boot_id_;
  const ContentLimits limits_;
  absl::Mutex mu_;
  bool has_trash_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread reaper_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_FILE_CONTENT_STORE_H_
