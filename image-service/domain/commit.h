#ifndef IMAGE_SERVICE_DOMAIN_COMMIT_H_
#define IMAGE_SERVICE_DOMAIN_COMMIT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image-service/domain/image_reference.h"
#include "image-service/domain/layer_intake.h"
#include "image-service/ports/archive.h"
#include "image-service/ports/image_format.h"

namespace slipway::image {

struct CommitCommand {
  std::string parent;                       // name or id; empty: none
  std::optional<ImageReference> reference;  // none: untagged
  ImageConfig config;
  std::string author;
  std::string message;
  std::string created_by;
  std::string container_id;
  int64_t created_unix_ns = 0;       // 0: now
  std::optional<Platform> platform;  // of an image without a parent; none: that of the host
  int64_t latest_mtime_unix_s = 0;   // later times of files become this one; 0: they stay
  std::string hold;                  // that keeps the new image; empty: none of its own
};

struct SquashCommand {
  std::string image;
  std::string ancestor;         // empty: none
  std::string hold;             // as of a commit
  int64_t created_unix_ns = 0;  // 0: now
};

// Makes an image of a parent's layers and one more, which is converted in one pass; its tar is kept
// as a split. A tar with no entries adds no layer. Thread-safe; the parts outlive it.
class Committer {
 public:
  Committer(IntakeParts parts, ImageFormat& format) : parts_(parts), format_(format) {}

  // Blocks. The new image's id.
  absl::StatusOr<Digest> Commit(const CommitCommand& command, ByteSource& source);
  // squash.cc. Blocks. The id of an image like another, whose layers above those of the ancestor
  // are one. FailedPrecondition when it was not made on that.
  absl::StatusOr<Digest> Squash(const SquashCommand& command);

 private:
  struct Draft;

  absl::StatusOr<Digest> DoCommit(const CommitCommand& command, ByteSource& source);
  absl::Status TakeParent(const CommitCommand& command, Draft& draft);
  // None when the tar is empty.
  absl::StatusOr<std::optional<LayerLease>> TakeLayer(ByteSource& source,
                                                      int64_t latest_mtime_unix_s);
  absl::StatusOr<LayerLease> MergeLayers(const std::vector<LayerLease>& layers);
  absl::StatusOr<Digest> Put(const CommitCommand& command, Draft draft);

  const IntakeParts parts_;
  ImageFormat& format_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_COMMIT_H_
