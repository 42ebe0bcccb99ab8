#include "image-service/layer/directory_writer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

using erofs::DirectoryEntry;
using erofs::kBlockBytes;

struct Child {
  absl::string_view name;
  LayerTree::NodeId node;
};

// A directory whose inode has a place but is not written yet.
struct PlacedDirectory {
  LayerTree::NodeId node;
  uint64_t size_bytes;
  ErofsImage::DirectoryPlace place;
};

// How many of `children`, which come next, go into one directory block, and the bytes they take.
struct Block {
  size_t count;
  size_t used_bytes;
};

Block NextBlock(absl::Span<const Child> children) {
  Block block = {0, 0};
  for (const Child& child : children) {
    const size_t bytes = sizeof(DirectoryEntry) + child.name.size();
    if (block.used_bytes + bytes > kBlockBytes) break;
    block.used_bytes += bytes;
    ++block.count;
  }
  return block;
}

class DirectoryWriter {
 public:
  DirectoryWriter(LayerTree* tree, ErofsImage* image) : tree_(tree), image_(image) {}

  absl::Status Write() {
    tree_->Seal();
    RETURN_IF_ERROR(PlaceAll());
    for (const PlacedDirectory& placed : placed_) RETURN_IF_ERROR(Emit(placed));
    for (const auto& [nid, count] : link_counts_) {
      if (count > 1) RETURN_IF_ERROR(image_->SetLinkCount(nid, count));
    }
    return absl::OkStatus();
  }

 private:
  LayerTree::Directory& DirectoryOf(LayerTree::NodeId id) {
    return tree_->directory(tree_->node(id));
  }

  absl::Span<const LayerTree::NodeId> ChildrenOf(const LayerTree::Directory& directory) const {
    return absl::MakeConstSpan(tree_->sealed())
        .subspan(directory.first_child, directory.child_count);
  }

  // Fills children_ with the names of a directory in the order of the format, "." and ".."
  // included.
  void List(LayerTree::NodeId id) {
    children_.clear();
    children_.push_back({".", id});
    children_.push_back({"..", tree_->node(id).parent});
    for (const LayerTree::NodeId child : ChildrenOf(DirectoryOf(id))) {
      children_.push_back({tree_->name(tree_->node(child)), child});
    }
    // The children are sorted already; what sorts before ".." is rare.
    if (children_.size() > 2 && children_[2].name < "..") {
      std::inplace_merge(children_.begin(), children_.begin() + 2, children_.end(),
                         [](const Child& a, const Child& b) { return a.name < b.name; });
    }
  }

  // Breadth first, so that the inodes of a directory's subdirectories are side by side.
  absl::Status PlaceAll() {
    placed_.push_back({LayerTree::kRoot, 0, {}});
    for (size_t i = 0; i < placed_.size(); ++i) {
      const LayerTree::NodeId id = placed_[i].node;
      LayerTree::Directory& directory = DirectoryOf(id);
      if (directory.is_opaque) directory.attributes.xattrs.AddOpaque();
      List(id);
      uint64_t size_bytes = 0;
      for (absl::Span<const Child> rest(children_); !rest.empty();) {
        const Block block = NextBlock(rest);
        rest.remove_prefix(block.count);
        size_bytes += rest.empty() ? block.used_bytes : kBlockBytes;
      }
      placed_[i].size_bytes = size_bytes;
      ASSIGN_OR_RETURN(placed_[i].place,
                       id == LayerTree::kRoot
                           ? image_->PlaceRoot(directory.attributes, size_bytes)
                           : image_->PlaceDirectory(directory.attributes, size_bytes));
      place_of_.resize(std::max<size_t>(place_of_.size(), tree_->node(id).value + 1));
      place_of_[tree_->node(id).value] = placed_[i].place.nid;
      for (const LayerTree::NodeId child : ChildrenOf(directory)) {
        const LayerTree::Node& node = tree_->node(child);
        if (node.file_type == erofs::kTypeDirectory) placed_.push_back({child, 0, {}});
        if (node.is_linked) ++link_counts_[node.value];
      }
    }
    return absl::OkStatus();
  }

  absl::Status Emit(const PlacedDirectory& placed) {
    List(placed.node);
    uint32_t nlink = 0;
    for (const Child& child : children_) {
      // Its own "." and, of each subdirectory, the ".."; "..", which is the parent's, stands for
      // the name in the parent.
      if (tree_->node(child.node).file_type == erofs::kTypeDirectory) ++nlink;
    }
    RETURN_IF_ERROR(image_->WriteDirectoryInode(placed.place, DirectoryOf(placed.node).attributes,
                                                placed.size_bytes, nlink));
    uint64_t offset = 0;
    for (absl::Span<const Child> rest(children_); !rest.empty();) {
      const Block block = NextBlock(rest);
      Encode(rest.first(block.count));
      rest.remove_prefix(block.count);
      if (!rest.empty()) block_.resize(kBlockBytes, '\0');
      RETURN_IF_ERROR(
          image_->WriteDirectoryContent(placed.place, offset, block_, placed.size_bytes));
      offset += kBlockBytes;
    }
    return absl::OkStatus();
  }

  void Encode(absl::Span<const Child> children) {
    block_.clear();
    size_t name_offset = children.size() * sizeof(DirectoryEntry);
    for (const Child& child : children) {
      const LayerTree::Node& node = tree_->node(child.node);
      const bool is_directory = node.file_type == erofs::kTypeDirectory;
      const DirectoryEntry entry = {.nid = is_directory ? place_of_[node.value] : node.value,
                                    .name_offset = static_cast<uint16_t>(name_offset),
                                    .file_type = node.file_type,
                                    .reserved = 0};
      block_.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
      name_offset += child.name.size();
    }
    for (const Child& child : children) block_.append(child.name.data(), child.name.size());
  }

  LayerTree* tree_;
  ErofsImage* image_;
  std::vector<PlacedDirectory> placed_;
  std::vector<Nid> place_of_;  // by directory index
  absl::flat_hash_map<Nid, uint32_t> link_counts_;
  std::vector<Child> children_;
  std::string block_;
};

}  // namespace

absl::Status WriteDirectories(LayerTree* tree, ErofsImage* image) {
  return DirectoryWriter(tree, image).Write();
}

}  // namespace slipway::image
