#include "image-service/layer/layer_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr int kMaxSymlinks = 40;  // the kernel's MAXSYMLINKS

InodeAttributes ImpliedDirectory() {
  InodeAttributes attributes;
  attributes.mode = S_IFDIR | 0755;
  return attributes;
}

// The arena addresses 4 GiB, a directory entry 255 bytes of name.
LayerLimits WithinFormat(LayerLimits limits) {
  limits.max_metadata_bytes = std::min(limits.max_metadata_bytes, size_t{2} << 30);
  limits.max_name_bytes = std::min<size_t>(limits.max_name_bytes, 255);
  limits.max_entries = std::min<uint64_t>(limits.max_entries, 1 << 30);
  return limits;
}

}  // namespace

uint32_t NameArena::Add(absl::string_view bytes) {
  if (bytes.size() > kBlockBytes - used_) {
    blocks_.emplace_back(new char[kBlockBytes]);
    used_ = 0;
  }
  memcpy(blocks_.back().get() + used_, bytes.data(), bytes.size());
  const uint32_t offset =
      static_cast<uint32_t>((blocks_.size() - 1) << kBlockBits) + static_cast<uint32_t>(used_);
  used_ += bytes.size();
  return offset;
}

LayerTree::LayerTree(const LayerLimits& limits)
    : limits_(WithinFormat(limits)), by_name_(0, KeyHash{this}, KeyEqual{this}) {
  Node root;
  root.parent = kRoot;
  root.file_type = erofs::kTypeDirectory;
  root.name = names_.Add("/");
  nodes_.push_back(root);
  directories_.push_back(Directory{.attributes = ImpliedDirectory()});
}

absl::Status LayerTree::Charge(size_t bytes) {
  if (bytes > limits_.max_metadata_bytes - std::min(charged_bytes_, limits_.max_metadata_bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("names and attributes pass the limit of ",
                                                   limits_.max_metadata_bytes, " bytes"));
  }
  charged_bytes_ += bytes;
  return absl::OkStatus();
}

LayerTree::NodeId LayerTree::Find(NodeId parent, absl::string_view name) const {
  const auto found = by_name_.find(Key{parent, name});
  return found == by_name_.end() ? kNone : *found;
}

absl::string_view LayerTree::SymlinkTarget(NodeId id) const {
  const auto found = symlinks_.find(id);
  if (found == symlinks_.end()) return {};
  return names_.Get(found->second.offset, found->second.size_bytes);
}

absl::StatusOr<LayerTree::NodeId> LayerTree::Insert(NodeId parent, absl::string_view name) {
  if (nodes_.size() > limits_.max_entries) {  // the root does not count
    return absl::InvalidArgumentError(
        absl::StrCat("the layer passes the limit of ", limits_.max_entries, " entries"));
  }
  RETURN_IF_ERROR(Charge(name.size()));
  Node node;
  node.parent = parent;
  node.name = names_.Add(name);
  node.name_bytes = static_cast<uint16_t>(name.size());
  const NodeId id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(node);
  by_name_.insert(id);
  return id;
}

absl::StatusOr<LayerTree::NodeId> LayerTree::MakeDirectory(NodeId parent, absl::string_view name,
                                                           const InodeAttributes& attributes) {
  NodeId id = Find(parent, name);
  const bool exists = id != kNone;
  if (exists && nodes_[id].file_type == erofs::kTypeDirectory) {
    // The later entry's attributes count, the children stay.
    RETURN_IF_ERROR(Charge(attributes.xattrs.bytes().size()));
    directory(nodes_[id]).attributes = attributes;
    return id;
  }
  if (!exists) {
    ASSIGN_OR_RETURN(id, Insert(parent, name));
  }
  RETURN_IF_ERROR(Charge(sizeof(Directory) + attributes.xattrs.bytes().size()));
  Node& node = nodes_[id];
  symlinks_.erase(id);
  node.file_type = erofs::kTypeDirectory;
  node.is_whiteout = false;
  node.is_linked = false;
  node.value = directories_.size();
  // What this replaces, a file or a whiteout, had hidden the directory of the layers below.
  directories_.push_back(Directory{.attributes = attributes, .is_opaque = exists});
  return id;
}

absl::StatusOr<LayerTree::NodeId> LayerTree::ResolveParent(const Path& path, bool make) {
  std::vector<NodeId> stack = {kRoot};
  std::vector<absl::string_view> pending(path.rbegin() + 1, path.rend());
  int symlinks = 0;
  while (!pending.empty()) {
    const absl::string_view part = pending.back();
    pending.pop_back();
    if (part.empty() || part == ".") continue;
    if (part == "..") {  // only from a symlink; the root's parent is the root, as after chroot
      if (stack.size() > 1) stack.pop_back();
      continue;
    }
    NodeId child = Find(stack.back(), part);
    if (child != kNone && nodes_[child].file_type == erofs::kTypeSymlink) {
      if (++symlinks > kMaxSymlinks) {
        return absl::InvalidArgumentError("too many symlinks in the path");
      }
      const absl::string_view target = SymlinkTarget(child);
      if (absl::StartsWith(target, "/")) stack.resize(1);
      const std::vector<absl::string_view> parts = absl::StrSplit(target, '/');
      pending.insert(pending.end(), parts.rbegin(), parts.rend());
      continue;
    }
    const bool usable = child != kNone && (nodes_[child].file_type == erofs::kTypeDirectory ||
                                           nodes_[child].is_whiteout);
    if (child != kNone && !usable) {
      return absl::InvalidArgumentError(absl::StrCat(part, " in the path is not a directory"));
    }
    if (child == kNone || nodes_[child].is_whiteout) {
      if (!make) return absl::NotFoundError(absl::StrCat(part, " is not in the layer"));
      if (part.size() > limits_.max_name_bytes || stack.size() > limits_.max_depth) {
        return absl::InvalidArgumentError("a symlink in the path leads past a limit");
      }
      ASSIGN_OR_RETURN(child, MakeDirectory(stack.back(), part, ImpliedDirectory()));
    }
    stack.push_back(child);
  }
  return stack.back();
}

absl::Status LayerTree::AddDirectory(const Path& path, const InodeAttributes& attributes) {
  if (path.empty()) {
    RETURN_IF_ERROR(Charge(attributes.xattrs.bytes().size()));
    directories_[0].attributes = attributes;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const NodeId parent, ResolveParent(path, true));
  return MakeDirectory(parent, path.back(), attributes).status();
}

absl::StatusOr<LayerTree::NodeId> LayerTree::Put(const Path& path, uint8_t file_type, Nid nid) {
  if (path.empty()) {
    return absl::InvalidArgumentError("the root of the layer is not a directory");
  }
  ASSIGN_OR_RETURN(const NodeId parent, ResolveParent(path, true));
  NodeId id = Find(parent, path.back());
  if (id != kNone && nodes_[id].file_type == erofs::kTypeDirectory) {
    // A new node, so that the children of the old one are not found any more.
    by_name_.erase(id);
    nodes_[id].parent = kNone;
    id = kNone;
  }
  if (id == kNone) {
    ASSIGN_OR_RETURN(id, Insert(parent, path.back()));
  }
  symlinks_.erase(id);
  Node& node = nodes_[id];
  node.file_type = file_type;
  node.is_whiteout = false;
  node.is_linked = false;
  node.value = nid;
  return id;
}

absl::Status LayerTree::AddInode(const Path& path, uint8_t file_type, Nid nid) {
  return Put(path, file_type, nid).status();
}

absl::Status LayerTree::AddSymlink(const Path& path, absl::string_view target, Nid nid) {
  ASSIGN_OR_RETURN(const NodeId id, Put(path, erofs::kTypeSymlink, nid));
  RETURN_IF_ERROR(Charge(target.size()));
  symlinks_[id] = {names_.Add(target), static_cast<uint32_t>(target.size())};
  return absl::OkStatus();
}

absl::Status LayerTree::AddHardLink(const Path& path, const Path& target) {
  NodeId source = kNone;
  if (!target.empty()) {
    ASSIGN_OR_RETURN(const NodeId parent, ResolveParent(target, false));
    source = Find(parent, target.back());
  }
  if (source == kNone || nodes_[source].is_whiteout) {
    return absl::NotFoundError("the target is not in the layer");
  }
  if (nodes_[source].file_type == erofs::kTypeDirectory) {
    return absl::InvalidArgumentError("the target is a directory");
  }
  const uint8_t file_type = nodes_[source].file_type;
  const uint64_t nid = nodes_[source].value;
  const auto symlink = symlinks_.find(source);
  const std::optional<Target> text =
      symlink == symlinks_.end() ? std::nullopt : std::optional<Target>(symlink->second);
  ASSIGN_OR_RETURN(const NodeId id, Put(path, file_type, nid));
  if (text.has_value()) symlinks_[id] = *text;
  nodes_[id].is_linked = true;
  if (nodes_[source].value == nid) nodes_[source].is_linked = true;
  has_links_ = true;
  return absl::OkStatus();
}

absl::StatusOr<bool> LayerTree::NeedsWhiteout(const Path& path) {
  ASSIGN_OR_RETURN(const NodeId parent, ResolveParent(path, true));
  const NodeId id = Find(parent, path.back());
  if (id == kNone) return true;
  if (nodes_[id].file_type == erofs::kTypeDirectory) directory(nodes_[id]).is_opaque = true;
  return false;
}

absl::Status LayerTree::AddWhiteout(const Path& path, Nid nid) {
  ASSIGN_OR_RETURN(const NodeId id, Put(path, erofs::kTypeCharDevice, nid));
  nodes_[id].is_whiteout = true;
  return absl::OkStatus();
}

absl::Status LayerTree::AddOpaque(const Path& path) {
  if (path.empty()) {
    directories_[0].is_opaque = true;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const NodeId parent, ResolveParent(path, true));
  NodeId id = Find(parent, path.back());
  if (id == kNone || nodes_[id].file_type != erofs::kTypeDirectory) {
    ASSIGN_OR_RETURN(id, MakeDirectory(parent, path.back(), ImpliedDirectory()));
  }
  directory(nodes_[id]).is_opaque = true;
  return absl::OkStatus();
}

void LayerTree::Seal() {
  by_name_.clear();
  symlinks_ = {};
  sealed_.reserve(nodes_.size());
  for (NodeId id = 1; id < nodes_.size(); ++id) {
    if (nodes_[id].parent != kNone) sealed_.push_back(id);
  }
  std::sort(sealed_.begin(), sealed_.end(), [this](NodeId a, NodeId b) {
    const Node& left = nodes_[a];
    const Node& right = nodes_[b];
    if (left.parent != right.parent) return left.parent < right.parent;
    return name(left) < name(right);
  });
  for (uint32_t i = 0; i < sealed_.size(); ++i) {
    const Node& parent = nodes_[nodes_[sealed_[i]].parent];
    Directory& owner = directories_[parent.value];
    if (owner.child_count++ == 0) owner.first_child = i;
  }
}

}  // namespace slipway::image
