#include "gateway/http/path_pattern.h"

#include "absl/strings/match.h"

namespace slipway::gateway {

std::optional<absl::string_view> PathPattern::Match(absl::string_view path) const {
  if (!has_variable_) {
    if (path != prefix_) return std::nullopt;
    return absl::string_view();
  }
  if (path.size() <= prefix_.size() + suffix_.size() || !absl::StartsWith(path, prefix_) ||
      !absl::EndsWith(path, suffix_)) {
    return std::nullopt;
  }
  const absl::string_view value =
      path.substr(prefix_.size(), path.size() - prefix_.size() - suffix_.size());
  if (!spans_ && absl::StrContains(value, '/')) return std::nullopt;
  return value;
}

}  // namespace slipway::gateway
