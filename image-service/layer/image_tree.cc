#include "image-service/layer/image_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr int kMaxLinks = 40;      // as the kernel
constexpr size_t kMaxDepth = 512;  // directories below each other

std::string Join(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

// Adds what a lower layer has under the same name. False: nothing further down shows.
bool AddBelow(ImageTree::Node& node, size_t layer, LayerReader::Inode inode) {
  if (!S_ISDIR(inode.mode)) return false;
  const bool opaque = inode.is_opaque();
  node.below.emplace_back(layer, std::move(inode));
  return !opaque;
}

}  // namespace

absl::StatusOr<ImageTree> ImageTree::Open(const std::vector<std::string>& layer_paths) {
  ImageTree tree;
  for (auto path = layer_paths.rbegin(); path != layer_paths.rend(); ++path) {
    ASSIGN_OR_RETURN(std::unique_ptr<LayerReader> reader, LayerReader::Open(*path));
    tree.layers_.push_back(std::move(reader));
  }
  return tree;
}

absl::StatusOr<std::optional<ImageTree::Node>> ImageTree::Root() const {
  std::optional<Node> root;
  for (size_t i = 0; i < layers_.size(); ++i) {
    ASSIGN_OR_RETURN(LayerReader::Inode inode, layers_[i]->Root());
    if (!root.has_value()) {
      root = Node{"", i, std::move(inode), {}};
    } else {
      root->below.emplace_back(i, std::move(inode));
    }
  }
  return root;
}

absl::StatusOr<std::vector<ImageTree::Node>> ImageTree::List(const Node& directory) const {
  std::map<std::string, Node> found;
  std::map<std::string, bool> closed;  // names of which nothing further down shows
  const auto add = [&](size_t layer, const LayerReader::Inode& inode) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<LayerReader::Entry> entries, layers_[layer]->List(inode));
    for (const LayerReader::Entry& entry : entries) {
      bool& done = closed[entry.name];
      if (done) continue;
      ASSIGN_OR_RETURN(LayerReader::Inode child, layers_[layer]->Read(entry.nid));
      const auto present = found.find(entry.name);
      if (present != found.end()) {
        done = !AddBelow(present->second, layer, std::move(child));
        continue;
      }
      done = !S_ISDIR(child.mode) || child.is_opaque();
      if (child.is_whiteout()) continue;
      found.emplace(entry.name,
                    Node{Join(directory.path, entry.name), layer, std::move(child), {}});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add(directory.layer, directory.inode));
  for (const auto& [layer, inode] : directory.below) RETURN_IF_ERROR(add(layer, inode));
  std::vector<Node> children;
  children.reserve(found.size());
  for (auto& [name, node] : found) children.push_back(std::move(node));
  return children;
}

absl::StatusOr<std::optional<ImageTree::Node>> ImageTree::Child(const Node& directory,
                                                                absl::string_view name) const {
  std::optional<Node> found;
  const auto look = [&](size_t layer, const LayerReader::Inode& inode) -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(const std::vector<LayerReader::Entry> entries, layers_[layer]->List(inode));
    const auto entry = std::lower_bound(
        entries.begin(), entries.end(), name,
        [](const LayerReader::Entry& one, absl::string_view wanted) { return one.name < wanted; });
    if (entry == entries.end() || entry->name != name) return true;
    ASSIGN_OR_RETURN(LayerReader::Inode child, layers_[layer]->Read(entry->nid));
    if (found.has_value()) return AddBelow(*found, layer, std::move(child));
    if (child.is_whiteout()) return false;
    const bool more = S_ISDIR(child.mode) && !child.is_opaque();
    found = Node{Join(directory.path, name), layer, std::move(child), {}};
    return more;
  };
  ASSIGN_OR_RETURN(bool more, look(directory.layer, directory.inode));
  for (size_t i = 0; more && i < directory.below.size(); ++i) {
    ASSIGN_OR_RETURN(more, look(directory.below[i].first, directory.below[i].second));
  }
  return found;
}

absl::StatusOr<ImageTree::Resolved> ImageTree::Resolve(absl::string_view path, bool follow) const {
  ASSIGN_OR_RETURN(std::optional<Node> root, Root());
  Resolved out;
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  std::deque<std::string> rest(parts.begin(), parts.end());
  if (!root.has_value()) {
    out.path = absl::StrJoin(rest, "/");
    return out;
  }
  std::vector<Node> stack = {*std::move(root)};
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == ".") continue;
    if (name == "..") {
      if (stack.size() > 1) stack.pop_back();
      continue;
    }
    if (!S_ISDIR(stack.back().inode.mode)) {
      return absl::InvalidArgumentError(absl::StrCat("/", stack.back().path, " is no directory"));
    }
    ASSIGN_OR_RETURN(std::optional<Node> child, Child(stack.back(), name));
    if (!child.has_value()) {
      out.path = Join(stack.back().path, name);
      for (const std::string& missing : rest) out.path = Join(out.path, missing);
      out.directories = std::move(stack);
      return out;
    }
    if (S_ISLNK(child->inode.mode) && (follow || !rest.empty())) {
      if (++links > kMaxLinks) {
        return absl::InvalidArgumentError(absl::StrCat("/", child->path, ": too many links"));
      }
      ASSIGN_OR_RETURN(const std::string target, reader(*child).LinkTarget(child->inode));
      if (!target.empty() && target[0] == '/') stack.resize(1);
      const std::vector<std::string> more = absl::StrSplit(target, '/', absl::SkipEmpty());
      rest.insert(rest.begin(), more.begin(), more.end());
      continue;
    }
    stack.push_back(*std::move(child));
  }
  out.path = stack.back().path;
  out.node = stack.back();
  if (!S_ISDIR(stack.back().inode.mode)) stack.pop_back();
  out.directories = std::move(stack);
  return out;
}

absl::Status ImageTree::Walk(const Node& node,
                             const std::function<absl::StatusOr<bool>(const Node&)>& visit) const {
  std::vector<Node> pending = {node};
  while (!pending.empty()) {
    const Node next = std::move(pending.back());
    pending.pop_back();
    ASSIGN_OR_RETURN(const bool inside, visit(next));
    if (!inside || !S_ISDIR(next.inode.mode)) continue;
    if (static_cast<size_t>(std::count(next.path.begin(), next.path.end(), '/')) > kMaxDepth) {
      return absl::InvalidArgumentError("directories are nested too deep");
    }
    ASSIGN_OR_RETURN(std::vector<Node> children, List(next));
    pending.insert(pending.end(), std::make_move_iterator(children.rbegin()),
                   std::make_move_iterator(children.rend()));
  }
  return absl::OkStatus();
}

}  // namespace slipway::image
