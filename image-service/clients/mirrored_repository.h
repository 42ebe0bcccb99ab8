#ifndef IMAGE_SERVICE_CLIENTS_MIRRORED_REPOSITORY_H_
#define IMAGE_SERVICE_CLIENTS_MIRRORED_REPOSITORY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "image-service/ports/registry.h"

namespace slipway::image {

// A repository that is to be had in several places, for reading: each is asked in turn until one
// answers, and a download that breaks off in one goes on in the next. The last place is the
// registry itself: its errors are the caller's. Thread-safe.
class MirroredRepository : public RegistryRepository {
 public:
  explicit MirroredRepository(std::vector<std::shared_ptr<RegistryRepository>> places)
      : places_(std::move(places)) {}

  absl::StatusOr<FetchedManifest> FetchManifest(const ImageReference& reference,
                                                const Cancellation& cancel) override;
  absl::StatusOr<std::string> FetchBlob(const Digest& digest, int64_t limit_bytes,
                                        const Cancellation& cancel) override;
  absl::Status DownloadBlob(const Digest& digest, int64_t offset, int64_t size_bytes,
                            const std::function<absl::Status(absl::string_view)>& sink,
                            const std::function<void()>& on_retry,
                            const Cancellation& cancel) override;
  absl::StatusOr<std::vector<std::string>> ListTags(const Cancellation& cancel) override;

  // A mirror is not written to: these ask the registry.
  absl::StatusOr<bool> HasBlob(const Digest& digest, const Cancellation& cancel) override {
    return places_.back()->HasBlob(digest, cancel);
  }
  absl::StatusOr<bool> MountBlob(const Digest& digest, const std::string& from_path,
                                 const Cancellation& cancel) override {
    return places_.back()->MountBlob(digest, from_path, cancel);
  }
  absl::Status UploadBlob(const Digest& digest, int64_t size_bytes, const BlobSource& source,
                          const std::function<void()>& on_retry,
                          const Cancellation& cancel) override {
    return places_.back()->UploadBlob(digest, size_bytes, source, on_retry, cancel);
  }
  absl::Status PutManifest(const ImageReference& reference, const std::string& media_type,
                           const std::string& body, const Cancellation& cancel) override {
    return places_.back()->PutManifest(reference, media_type, body, cancel);
  }

 private:
  const std::vector<std::shared_ptr<RegistryRepository>> places_;  // not empty
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_MIRRORED_REPOSITORY_H_
