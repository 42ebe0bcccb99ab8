#ifndef IMAGE_SERVICE_LAYER_LAYER_TREE_H_
#define IMAGE_SERVICE_LAYER_LAYER_TREE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/erofs_image.h"
#include "image-service/layer/inode_attributes.h"
#include "image-service/layer/layer_limits.h"

namespace slipway::image {

// Byte strings that are never freed one by one, addressed by 32 bits.
class NameArena {
 public:
  // `bytes` up to 64 KiB. The total stays below 4 GiB: the tree's limit sees to it.
  uint32_t Add(absl::string_view bytes);
  absl::string_view Get(uint32_t offset, size_t size_bytes) const {
    return {blocks_[offset >> kBlockBits].get() + (offset & (kBlockBytes - 1)), size_bytes};
  }

 private:
  static constexpr uint32_t kBlockBits = 16;
  static constexpr uint32_t kBlockBytes = 1 << kBlockBits;

  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t used_ = kBlockBytes;  // of the last block
};

// The names of a layer while its tar is read: which path is which inode. Attributes and content of
// everything but directories are in the layer file already, so that a name costs some 40 bytes.
// A later entry replaces an earlier one of the same path, as when a tar is unpacked. Symlinks in
// the directory part of a path are followed inside the layer. Not thread-safe. Errors do not name
// the entry: the caller does.
class LayerTree {
 public:
  using Path = std::vector<absl::string_view>;
  using NodeId = uint32_t;

  static constexpr NodeId kRoot = 0;
  static constexpr NodeId kNone = UINT32_MAX;

  struct Node {
    NodeId parent = kNone;  // kNone: replaced by another node
    uint32_t name = 0;
    uint16_t name_bytes = 0;
    uint8_t file_type = 0;  // as in a directory entry
    bool is_whiteout : 1 = false;
    bool is_linked : 1 = false;  // shares its inode, or did
    uint64_t value = 0;          // the nid; of a directory, its index
  };

  struct Directory {
    InodeAttributes attributes;
    bool is_opaque = false;
    // Set by Seal: the children are sealed()[first_child .. first_child + child_count).
    uint32_t first_child = 0;
    uint32_t child_count = 0;
  };

  explicit LayerTree(const LayerLimits& limits);
  LayerTree(const LayerTree&) = delete;
  LayerTree& operator=(const LayerTree&) = delete;

  // Each makes missing parent directories (root, 0755).
  absl::Status AddDirectory(const Path& path, const InodeAttributes& attributes);
  absl::Status AddInode(const Path& path, uint8_t file_type, Nid nid);
  absl::Status AddSymlink(const Path& path, absl::string_view target, Nid nid);
  absl::Status AddHardLink(const Path& path, const Path& target);
  // Whether a whiteout of `path` needs an inode. A whiteout concerns the layers below only: a file
  // of this layer stays (it hides what is below anyway), a directory of this layer becomes opaque.
  absl::StatusOr<bool> NeedsWhiteout(const Path& path);
  absl::Status AddWhiteout(const Path& path, Nid nid);
  absl::Status AddOpaque(const Path& path);

  // Ends the additions: sorts the names of each directory bytewise.
  void Seal();
  const std::vector<NodeId>& sealed() const { return sealed_; }

  const Node& node(NodeId id) const { return nodes_[id]; }
  absl::string_view name(const Node& node) const { return names_.Get(node.name, node.name_bytes); }
  Directory& directory(const Node& node) { return directories_[node.value]; }
  bool has_links() const { return has_links_; }

 private:
  struct Key {
    NodeId parent;
    absl::string_view name;
  };
  struct KeyHash {
    using is_transparent = void;
    const LayerTree* tree;
    size_t operator()(const Key& key) const { return absl::HashOf(key.parent, key.name); }
    size_t operator()(NodeId id) const { return (*this)(tree->KeyOf(id)); }
  };
  struct KeyEqual {
    using is_transparent = void;
    const LayerTree* tree;
    bool operator()(NodeId a, NodeId b) const { return a == b; }
    bool operator()(NodeId a, const Key& b) const {
      const Key key = tree->KeyOf(a);
      return key.parent == b.parent && key.name == b.name;
    }
    bool operator()(const Key& a, NodeId b) const { return (*this)(b, a); }
  };

  Key KeyOf(NodeId id) const { return {nodes_[id].parent, name(nodes_[id])}; }
  NodeId Find(NodeId parent, absl::string_view name) const;
  // The directory that holds the last component. `make` missing directories, or fail with NotFound.
  absl::StatusOr<NodeId> ResolveParent(const Path& path, bool make);
  absl::StatusOr<NodeId> Insert(NodeId parent, absl::string_view name);
  absl::StatusOr<NodeId> MakeDirectory(NodeId parent, absl::string_view name,
                                       const InodeAttributes& attributes);
  absl::StatusOr<NodeId> Put(const Path& path, uint8_t file_type, Nid nid);
  absl::Status Charge(size_t bytes);
  absl::string_view SymlinkTarget(NodeId id) const;

  const LayerLimits limits_;
  NameArena names_;
  std::vector<Node> nodes_;
  std::vector<Directory> directories_;
  struct Target {
    uint32_t offset;
    uint32_t size_bytes;
  };
  absl::flat_hash_map<NodeId, Target> symlinks_;
  absl::flat_hash_set<NodeId, KeyHash, KeyEqual> by_name_;
  std::vector<NodeId> sealed_;
  size_t charged_bytes_ = 0;
  bool has_links_ = false;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_TREE_H_
