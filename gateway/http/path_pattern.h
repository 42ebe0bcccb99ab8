#ifndef GATEWAY_HTTP_PATH_PATTERN_H_
#define GATEWAY_HTTP_PATH_PATTERN_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace slipway::gateway {

// A path with at most one variable: "/containers/{name}/json". "{name...}" also takes slashes.
// A table of them is matched from the top: the first that fits counts. Pure.
class PathPattern {
 public:
  explicit constexpr PathPattern(absl::string_view pattern) : text_(pattern), prefix_(pattern) {
    size_t open = 0;
    while (open < pattern.size() && pattern[open] != '{') ++open;
    if (open == pattern.size()) return;
    size_t close = open;
    while (pattern[close] != '}') ++close;
    has_variable_ = true;
    spans_ = pattern[close - 1] == '.';
    prefix_ = absl::string_view(pattern.data(), open);
    suffix_ = absl::string_view(pattern.data() + close + 1, pattern.size() - close - 1);
  }

  constexpr absl::string_view text() const { return text_; }

  // The variable's value ("" where the pattern has none) when `path` fits.
  std::optional<absl::string_view> Match(absl::string_view path) const;

 private:
  absl::string_view text_;
  absl::string_view prefix_;
  absl::string_view suffix_;
  bool has_variable_ = false;
  bool spans_ = false;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_HTTP_PATH_PATTERN_H_
