#ifndef SERVICES_LOG_DOMAIN_LINE_MATCHER_H_
#define SERVICES_LOG_DOMAIN_LINE_MATCHER_H_

#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/ports/text_probe.h"

namespace slipway::log {

struct SearchOptions {
  std::string substring;  // empty: any line
  std::string regex;      // RE2; empty: any line. ^ and $ are the ends of the line
  bool ignore_case = false;
  bool invert = false;
  uint32_t lines_before = 0;
  uint32_t lines_after = 0;
};

// Finds lines. Immutable; thread-safe.
class LineMatcher {
 public:
  static constexpr uint32_t kMostContextLines = 1000;
  // InvalidArgument for an expression that is none or takes too much memory, with what is wrong.
  static absl::StatusOr<std::shared_ptr<const LineMatcher>> Create(const SearchOptions& options);

  // `invert` is taken into account; a newline at the end is not part of the line.
  bool Matches(absl::string_view line) const;

  struct Range {
    size_t begin;
    size_t end;  // behind the newline
  };
  // The first line at or behind `from` that matches. `text` has whole lines, and a line begins at
  // `from`. Not for inverted searches.
  std::optional<Range> Find(absl::string_view text, size_t from) const;

  const SearchOptions& options() const { return options_; }
  // Null when it tells nothing.
  const std::shared_ptr<const TextProbe>& probe() const { return probe_; }
  bool plain() const {
    return !options_.invert && options_.lines_before == 0 && options_.lines_after == 0;
  }

 private:
  explicit LineMatcher(const SearchOptions& options) : options_(options) {}
  bool HasBoth(absl::string_view line) const;

  const SearchOptions options_;
  std::unique_ptr<RE2> regex_;
  // Where case does not matter, the substring is an expression too.
  std::unique_ptr<RE2> folded_;
  std::shared_ptr<const TextProbe> probe_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_LINE_MATCHER_H_
