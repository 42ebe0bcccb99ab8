#include "image-service/layer/entry_path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::image {
namespace {

constexpr absl::string_view kWhiteoutPrefix = ".wh.";
constexpr absl::string_view kMetadataPrefix = ".wh..wh.";
constexpr absl::string_view kOpaqueName = ".wh..wh..opq";

}  // namespace

absl::StatusOr<std::vector<absl::string_view>> ParseEntryPath(absl::string_view name,
                                                              const LayerLimits& limits) {
  if (name.size() > limits.max_path_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path passes the limit of ", limits.max_path_bytes, " bytes"));
  }
  std::vector<absl::string_view> components;
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const absl::string_view part = name.substr(0, slash);
    name.remove_prefix(slash == absl::string_view::npos ? name.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (components.empty()) {
        return absl::InvalidArgumentError("the path leads out of the layer's root");
      }
      components.pop_back();
      continue;
    }
    if (part.size() > limits.max_name_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("a name passes the limit of ", limits.max_name_bytes, " bytes"));
    }
    if (components.size() >= limits.max_depth) {
      return absl::InvalidArgumentError(
          absl::StrCat("the path passes the limit of ", limits.max_depth, " levels"));
    }
    components.push_back(part);
  }
  return components;
}

absl::StatusOr<EntryRole> ClassifyEntry(std::vector<absl::string_view>* components) {
  if (components->empty()) return EntryRole::kContent;
  for (size_t i = 0; i + 1 < components->size(); ++i) {
    if (absl::StartsWith((*components)[i], kMetadataPrefix)) return EntryRole::kIgnored;
    if (absl::StartsWith((*components)[i], kWhiteoutPrefix)) {
      return absl::InvalidArgumentError("the entry is below a whiteout");
    }
  }
  absl::string_view last = components->back();
  if (last == kOpaqueName) {
    components->pop_back();
    return EntryRole::kOpaque;
  }
  if (absl::StartsWith(last, kMetadataPrefix)) return EntryRole::kIgnored;
  if (!absl::StartsWith(last, kWhiteoutPrefix)) return EntryRole::kContent;
  last.remove_prefix(kWhiteoutPrefix.size());
  if (last.empty() || last == "." || last == "..") {
    return absl::InvalidArgumentError("the whiteout names nothing");
  }
  components->back() = last;
  return EntryRole::kWhiteout;
}

}  // namespace slipway::image
