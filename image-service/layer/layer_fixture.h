#ifndef IMAGE_SERVICE_LAYER_LAYER_FIXTURE_H_
#define IMAGE_SERVICE_LAYER_LAYER_FIXTURE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "image-service/layer/layer_writer.h"

namespace slipway::image {

// A directory below /tmp that goes away with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  // Names in the directory, "." and ".." left out.
  int CountNames() const;

 private:
  std::string path_;
};

// The command's exit code; its output goes to the test's.
int RunShell(const std::string& command);

// Converts `blob`, appended in pieces of `piece_bytes`, and commits it to `path`.
absl::StatusOr<LayerResult> ConvertLayer(absl::string_view blob, const std::string& path,
                                         LayerOptions options = {}, size_t piece_bytes = 10'000);
absl::StatusOr<LayerResult> ConvertFile(const std::string& blob_path, const std::string& path);

// The root directory of the layer file's content: a detached, read-only, file-backed EROFS mount
// that goes away with the descriptor.
absl::StatusOr<UniqueFd> MountLayer(const std::string& path);

// What a user can see of each name below a directory: type, mode, owner, mtime, size, link count,
// device, symlink target, xattrs, content (as a digest).
using Snapshot = std::map<std::string, std::string>;
Snapshot TakeSnapshot(int directory_fd);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_FIXTURE_H_
