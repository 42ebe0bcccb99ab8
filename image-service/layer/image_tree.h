#ifndef IMAGE_SERVICE_LAYER_IMAGE_TREE_H_
#define IMAGE_SERVICE_LAYER_IMAGE_TREE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/layer_reader.h"

namespace slipway::image {

// The files of an image as a container sees them: its layers one above the other, by the rules of
// overlayfs (Documentation/filesystems/overlayfs.rst: whiteouts, opaque directories), read from the
// layer files without a mount. Thread-safe.
class ImageTree {
 public:
  // A path of the tree. A directory can be in several layers; the uppermost one's attributes count.
  struct Node {
    std::string path;  // "" for the root, "etc/passwd"
    size_t layer = 0;
    LayerReader::Inode inode;
    std::vector<std::pair<size_t, LayerReader::Inode>> below;  // more layers of a directory
  };

  struct Resolved {
    std::string path;               // with links followed; what does not exist is as asked
    std::optional<Node> node;       // none: does not exist
    std::vector<Node> directories;  // those on the way that exist, the root first
  };

  // Files of layers, bottom first. Without any, the tree is empty.
  static absl::StatusOr<ImageTree> Open(const std::vector<std::string>& layer_paths);

  // Follows links of directories on the way, and of the last element where `follow`.
  // InvalidArgument for a path through something that is no directory, and for links that never
  // end.
  absl::StatusOr<Resolved> Resolve(absl::string_view path, bool follow) const;

  // Children of a directory, by name.
  absl::StatusOr<std::vector<Node>> List(const Node& directory) const;

  // A node and everything below it, a directory before what is in it. `visit` returns whether to go
  // into a directory.
  absl::Status Walk(const Node& node,
                    const std::function<absl::StatusOr<bool>(const Node&)>& visit) const;

  const LayerReader& reader(const Node& node) const { return *layers_[node.layer]; }

 private:
  absl::StatusOr<std::optional<Node>> Root() const;
  absl::StatusOr<std::optional<Node>> Child(const Node& directory, absl::string_view name) const;

  std::vector<std::unique_ptr<LayerReader>> layers_;  // uppermost first
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_IMAGE_TREE_H_
